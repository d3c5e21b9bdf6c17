# The BIDS app as a container: any uid, read-only root, no network when it runs, no weights inside.
#
#   docker build -t bids-brainalign .
#       torch as the package index gives it. On Linux that is the build with CUDA, whose wheels
#       bring the CUDA libraries along: about 6 GB.
#   docker build -t bids-brainalign:cpu --build-arg TORCH_INDEX=ADDRESS .
#       torch without CUDA, about 2 GB. ADDRESS is the index of CPU wheels that PyTorch's
#       installation page names.
#
# Without network for pip, or to save a download: put torch's wheel into a folder, mount that
# (buildah bud --volume FOLDER:/wheels:ro) and give --build-arg TORCH_WHEELS=/wheels.

FROM python:3.11-slim-bookworm AS wheel
WORKDIR /source
COPY . .
RUN python -m venv /build \
 && /build/bin/pip wheel --no-cache-dir --no-deps --wheel-dir /wheel .

FROM python:3.11-slim-bookworm
ARG TORCH_INDEX=""
ARG TORCH_WHEELS=""
ENV PATH=/opt/brainalign/bin:$PATH \
    LANG=C.UTF-8 \
    PYTHONNOUSERSITE=1 \
    PYTHONUNBUFFERED=1

# Bytecode is compiled here, once: a read-only root can't keep it later. pip does so for what it
# installs; the standard library of slim images comes without.
RUN python -m venv /opt/brainalign \
 && python -m compileall -q -j 0 -x 'lib2to3|/tests?/' \
      "$(python -c 'import sysconfig; print(sysconfig.get_path("stdlib"))')"

WORKDIR /opt/brainalign
COPY requirements.lock pyproject.toml ./

# torch first and alone, so that its index serves nothing else; then what that build of it needs.
RUN PIP_INDEX_URL="$TORCH_INDEX" PIP_FIND_LINKS="$TORCH_WHEELS" \
      pip install --no-cache-dir --no-deps "$(grep '^torch==' requirements.lock)" \
 && pip install --no-cache-dir --constraint requirements.lock torch

# Our dependencies before our code: a new version of the code is a small layer.
RUN python -c 'import tomllib; p = tomllib.load(open("pyproject.toml", "rb"))["project"]; \
e = p["optional-dependencies"]; print(*p["dependencies"], *e["align"], *e["simulate"], sep="\n")' > requirements.txt \
 && pip install --no-cache-dir --constraint requirements.lock --requirement requirements.txt

COPY --from=wheel /wheel /tmp/wheel
RUN pip install --no-cache-dir --no-deps /tmp/wheel/*.whl \
 && rm -r /tmp/wheel \
 && pip check \
 && mkdir -p /data /out /work /models

# Atlases for --atlas are not ours to ship: --build-arg ATLASES="destrieux harvard-oxford" gets them
# through nilearn now, each with its own licence; a build that can't get them fails.
ARG ATLASES=""
RUN mkdir -p /opt/atlases \
 && NILEARN_DATA=/opt/atlases python -c 'import sys; \
from bids_brainalign.anatomy.named_atlases import nilearn_atlas; \
[nilearn_atlas(name, allow_download=True) for name in sys.argv[1:]]' $ATLASES

# Any uid may run it, with a home that need not exist: HOME and all caches are under /tmp. In
# there, in OUTPUT_DIR and in the work folder is all that is written. LOGNAME is for libraries that
# ask for the user of a uid that /etc/passwd does not know.
ENV HOME=/tmp \
    LOGNAME=brainalign \
    XDG_CACHE_HOME=/tmp/.cache \
    MPLCONFIGDIR=/tmp/.cache/matplotlib \
    MPLBACKEND=Agg \
    MNE_DONTWRITE_HOME=true \
    PYTHONDONTWRITEBYTECODE=1 \
    HF_HOME=/tmp/.cache/huggingface \
    HF_HUB_OFFLINE=1 \
    TRANSFORMERS_OFFLINE=1 \
    HF_HUB_DISABLE_TELEMETRY=1 \
    NILEARN_SHARED_DATA=/opt/atlases \
    NVIDIA_VISIBLE_DEVICES=all \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility

ARG VERSION=""
ARG REVISION=""
LABEL org.opencontainers.image.title="bids-brainalign" \
      org.opencontainers.image.description="BIDS app that aligns speech and language models with ECoG, sEEG and fMRI recordings" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.base.name="python:3.11-slim-bookworm" \
      org.bids-brainalign.atlases="$ATLASES" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.revision="$REVISION"

WORKDIR /tmp
USER 1000:1000
ENTRYPOINT ["bids-brainalign"]
CMD ["--help"]
