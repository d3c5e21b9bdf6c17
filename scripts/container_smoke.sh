#!/usr/bin/env bash
# Build the container and run it as a stranger would: participant and group on a simulated
# dataset, with uid 4242, a read-only root, read-only data and no network. Then the BIDS validator
# on what it wrote, and the planted answer must be there.
#
#   scripts/container_smoke.sh [--no-install] [--store DIR]
#
# Needs Linux, root, and buildah, podman and runc; no daemon. On Debian and Ubuntu missing ones are
# installed with apt (not with --no-install). Where it can't work it prints 'SKIPPED: why' and
# ends with 0. Everything lies in a temporary folder and is removed; --store DIR keeps images and
# layers in DIR, for a quick second build.
#
# If the base image of the Dockerfile can't be pulled, a Debian with the same Python takes its
# place under its name. torch is what pip gives this machine; TORCH_INDEX=ADDRESS in the
# environment gives another build of it.
#
# After success, with nothing left out, the digests of everything that decides how the image is
# built are written to scripts/container_verified.sha256: commit it. 'make test' builds again when
# they no longer fit.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

INPUTS=(.dockerignore Dockerfile pyproject.toml requirements.lock scripts/container_smoke.sh)
VERIFIED=scripts/container_verified.sha256
TOOLS=(buildah podman runc)
UID_INSIDE=4242
CERTIFICATES=/etc/ssl/certs/ca-certificates.crt

install=yes
store=""
while [ $# -gt 0 ]; do
  case "$1" in
    --no-install) install=no ;;
    --store) store=$(realpath -m "${2:?--store needs a folder}"); shift ;;
    *) echo "unknown option $1; see the head of $0" >&2; exit 64 ;;
  esac
  shift
done

say() { echo "== container: $* (${SECONDS} s)"; }
skip() { echo "SKIPPED: $*"; exit 0; }
fail() { echo "FAILED: $*" >&2; exit 1; }

base=$(awk '$1 == "FROM" { print $2; exit }' Dockerfile)
torch=$(grep '^torch==' requirements.lock)
python=$(command -v .venv/bin/python || command -v python3 || true)

# --- can it work here at all? -----------------------------------------------------------------
have() { command -v "$1" >/dev/null; }
have_all() { local tool; for tool in "$@"; do have "$tool" || return 1; done; }
apt_install() {
  [ "$install" = yes ] && have apt-get || return 1
  say "installing $*"
  { apt-get update -q && DEBIAN_FRONTEND=noninteractive \
    apt-get install -q -y --no-install-recommends "$@"; } >"$scratch/apt.log" 2>&1
}

[ "$(uname -s)" = Linux ] || skip "containers need Linux"
[ "$(id -u)" = 0 ] || skip "building needs root here; with Docker: docker build ."
[ -n "$python" ] || skip "no python3"
unshare --mount --pid --fork true 2>/dev/null || skip "no right to make namespaces here"
scratch=$(mktemp -d -t brainalign-container-XXXXXX)
finish() {
  local mounted
  if [ -e "$scratch/storage.conf" ]; then
    podman --tmpdir "$store/run" rm --all --force >/dev/null 2>&1 || true
    buildah rm --all >/dev/null 2>&1 || true
  fi
  # The storage driver mounts its folder onto itself; nothing of ours stays mounted.
  awk -v a="$scratch/" -v b="${store:-$scratch}/" \
    'index($2, a) == 1 || index($2, b) == 1 { print $2 }' /proc/mounts | sort -r \
    | while read -r mounted; do umount "$mounted" || true; done
  rm -rf --one-file-system "$scratch"
}
trap finish EXIT
have_all "${TOOLS[@]}" || apt_install "${TOOLS[@]}" || true
have_all "${TOOLS[@]}" || skip "${TOOLS[*]} are not all installed"
probe=$(grep '^filelock==' requirements.lock)  # the smallest thing that pip must be able to get
"$python" -m pip download -q --no-deps -d "$scratch/probe" "$probe" >"$scratch/pip.log" 2>&1 \
  || skip "pip can't download here: $(tail -n 1 "$scratch/pip.log")"

# --- a store of our own -----------------------------------------------------------------------
store=${store:-$scratch/store}
mkdir -p "$store/run" "$scratch/tmp" "$scratch/wheels"
export TMPDIR=$scratch/tmp CONTAINERS_STORAGE_CONF=$scratch/storage.conf
cat >"$CONTAINERS_STORAGE_CONF" <<TOML
[storage]
driver = "overlay"
graphroot = "$store/images"
runroot = "$store/run/storage"
TOML
pod() { podman --tmpdir "$store/run" --runtime runc "$@"; }

# --- the base image ---------------------------------------------------------------------------
mounts=()
if ! pod image exists "$base" && ! timeout 300 podman --tmpdir "$store/run" pull -q "$base" \
    >"$scratch/pull.log" 2>&1; then
  have mmdebstrap || apt_install mmdebstrap || true
  have mmdebstrap || skip "$base can't be pulled, and there is no mmdebstrap to make a stand-in"
  say "$base can't be pulled: making a Debian stand-in"
  release=${base##*-} version=${base#*:} && version=${version%%-*}
  # shellcheck disable=SC2016  # $1 is mmdebstrap's
  TMPDIR=$scratch/tmp mmdebstrap --mode=root --variant=minbase --quiet \
    --include="ca-certificates,netbase,tzdata,python$version,python$version-venv" \
    --customize-hook="ln -s /usr/bin/python$version \"\$1/usr/local/bin/python\"" \
    "$release" "$scratch/base.tar" >"$scratch/mmdebstrap.log" 2>&1 \
    || skip "no stand-in for $base: $(tail -n 1 "$scratch/mmdebstrap.log")"
  # This machine's certificates may not be Debian's: pip in the build needs them.
  pod import -q --change "ENV PIP_CERT=$CERTIFICATES" --change "ENV SSL_CERT_FILE=$CERTIFICATES" \
    "$scratch/base.tar" "docker.io/library/$base" >/dev/null
  rm "$scratch/base.tar"
fi
[ -e "$CERTIFICATES" ] && mounts+=(--volume "$CERTIFICATES:$CERTIFICATES:ro")

# --- build ------------------------------------------------------------------------------------
say "fetching $torch"
"$python" -m pip download -q --no-deps --only-binary=:all: --python-version 3.11 \
  ${TORCH_INDEX:+--index-url "$TORCH_INDEX"} -d "$scratch/wheels" "$torch" 2>"$scratch/pip.log" \
  || fail "$torch: $(tail -n 1 "$scratch/pip.log")"
say "building with $(basename "$scratch"/wheels/torch-*.whl)"
started=$SECONDS
buildah bud -q --pull-never --format docker --isolation chroot --network host --layers \
  "${mounts[@]}" --volume "$scratch/wheels:/wheels:ro" --build-arg TORCH_WHEELS=/wheels \
  --build-arg "VERSION=$(sed -n 's/^__version__ = "\(.*\)"/\1/p' bids_brainalign/__init__.py)" \
  --build-arg "REVISION=$(git rev-parse HEAD 2>/dev/null || true)" \
  --tag brainalign-smoke . >"$scratch/build.log" 2>&1 \
  || { tail -n 40 "$scratch/build.log" >&2; fail "the image does not build"; }
size=$(pod image inspect --format '{{.Size}}' brainalign-smoke)
say "built in $((SECONDS - started)) s, image of $((size / 1000000)) MB"

# --- run --------------------------------------------------------------------------------------
# in_container [podman options] -- arguments of the image
in_container() {
  local options=()
  while [ "$1" != -- ]; do options+=("$1"); shift; done
  shift
  pod run --rm --network none --read-only --tmpfs /tmp:rw,noexec,nosuid,nodev --cap-drop ALL \
    --security-opt no-new-privileges --ulimit nofile=4096:4096 --ulimit nproc=4096:4096 \
    --user "$UID_INSIDE:$UID_INSIDE" --passwd=false "${options[@]}" localhost/brainalign-smoke "$@"
}

place=$scratch/place
mkdir -p "$place"/{simulated,out,work}
chown -R "$UID_INSIDE:$UID_INSIDE" "$place"
chmod 755 "$scratch"

say "simulating a dataset"
in_container -v "$place/simulated:/out" --entrypoint brainalign -- \
  simulate /out --participants 1 --minutes 2.5 >"$scratch/simulate.log" 2>&1 \
  || { tail -n 30 "$scratch/simulate.log" >&2; fail "brainalign simulate"; }

app() {
  say "bids-brainalign $1"
  in_container -v "$place/simulated/bids:/data:ro" \
    -v "$place/out:/out" -v "$place/work:/work" -- \
    /data /out "$1" -w /work --nprocs 2 \
    >"$scratch/$1.log" 2>&1 || { tail -n 30 "$scratch/$1.log" >&2; fail "bids-brainalign $1"; }
  tail -n 4 "$scratch/$1.log"
}
app participant
app group

say "is the planted answer there?"
in_container -v "$place:/place:ro" --entrypoint python -- -c '
import sys
from pathlib import Path
from bids_brainalign.simulate.ground_truth import read_ground_truth
from bids_brainalign.simulate.recovery import format_recovery, passed, recover
found = recover(read_ground_truth(Path("/place/simulated/ground_truth.json")), Path("/place/out"))
print(format_recovery(found))
sys.exit(not found or any(passed(found, one) is False for one in found))
' || fail "the planted answer was not found"

say "is all bytecode compiled?"
in_container --entrypoint python -- -c '
import sys, bids_brainalign.workflow.run, mne, nilearn, torch, transformers
from pathlib import Path
compiled = [str(vars(module).get("__cached__", "")) for module in list(sys.modules.values())]
missing = [file for file in compiled if file.endswith(".pyc") and not Path(file).is_file()]
print(len(sys.modules), "modules,", len(missing), "without bytecode", *missing[:5])
sys.exit(len(missing) > 0)
' || fail "modules are compiled at every start, because the root is read-only"

program() { command -v ".venv/bin/$1" || command -v "$1" || true; }
left_out=()
validator=$(program bids-validator-deno)
if [ -n "$validator" ]; then
  say "bids-validator-deno on the outputs"
  "$validator" --ignoreWarnings "$place/out" || fail "the outputs are not valid BIDS"
else
  left_out+=("bids-validator-deno, which is not installed")
fi
lint=$(program hadolint)
if [ -n "$lint" ]; then
  say "hadolint on the Dockerfile"
  "$lint" Dockerfile || fail "hadolint"
else
  left_out+=("hadolint, which is not installed")
fi

if [ ${#left_out[@]} -gt 0 ]; then
  printf 'SKIPPED: %s\n' "${left_out[@]}"
  say "well as far as it went; $VERIFIED is not written"
else
  sha256sum "${INPUTS[@]}" >"$VERIFIED"
  say "all well; $VERIFIED written"
fi
