"""Opening models from local Hugging Face folders: weights complete, nothing from the network."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from bids_brainalign.errors import BrainAlignError, ExitCode
from bids_brainalign.features.exact_convolutions import exact_on_cpu
from bids_brainalign.features.folders import cannot_load

_PRECISIONS = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
_LISTED = 4


def trained_or_random(
    model_class: Any, folder: Path, config: Any, *, untrained_seed: int | None, part: str = ""
) -> Any:
    """Load a model's weights, or give its architecture random ones where there is a seed.

    Parameters
    ----------
    model_class, folder, part
        As for :func:`load_pretrained`.
    config : transformers configuration
        Of the folder.
    untrained_seed : int, optional
    """
    if untrained_seed is None:
        return load_pretrained(model_class, folder, part=part)
    return random_twin(model_class, config, seed=untrained_seed)


def placed(model: Any, *, device: str, precision: str) -> tuple[Any, torch.device, torch.dtype]:
    """Put a model where it will run, ready to; gives device and precision for its inputs, too.

    Parameters
    ----------
    model : torch module
    device : str
        A torch device.
    precision : str
        ``fp32``, ``bf16`` or ``fp16``.
    """
    where, kind = torch.device(device), _PRECISIONS[precision]
    return exact_on_cpu(model.eval().to(where, kind)), where, kind


def hidden_states(output: Any) -> list[NDArray[np.float32]]:
    """Take the states of every layer from a model's output, (n_clips, n_frames, n_dims) each."""
    return [state.float().cpu().numpy() for state in output.hidden_states]


def load_pretrained(model_class: Any, folder: Path, *, part: str = "", config: Any = None) -> Any:
    """Load weights in fp32 and refuse a folder that lacks some.

    transformers fills missing weights with random numbers and says so in a log line only: a
    "pretrained" model that is partly random would give plausible, wrong curves.

    Parameters
    ----------
    model_class : transformers class with ``from_pretrained``
    folder : Path
    part : str
        Prefix of the weights that matter, e.g. ``encoder.``; all if empty.
    config : transformers configuration, optional
        Instead of the folder's own.

    Raises
    ------
    BrainAlignError
        Not a model folder, or weights are missing (66).
    """
    own = {} if config is None else {"config": config}
    try:
        model, info = model_class.from_pretrained(
            folder,
            **own,
            local_files_only=True,
            use_safetensors=True,
            trust_remote_code=False,
            dtype=torch.float32,
            output_loading_info=True,
        )
    except (OSError, ValueError, KeyError, RuntimeError, ImportError) as error:
        raise cannot_load(folder, error) from error
    # masked_spec_embed only serves masking in training; many checkpoints come without it.
    missing = sorted(
        key
        for key in info["missing_keys"]
        if key.startswith(part) and not key.endswith("masked_spec_embed")
    )
    if missing:
        more = f" and {len(missing) - _LISTED} more" if len(missing) > _LISTED else ""
        raise BrainAlignError(
            f"{folder} lacks weights of the model that its config.json describes: "
            f"{', '.join(missing[:_LISTED])}{more}.",
            fix="download the model again: brainalign fetch",
            exit_code=ExitCode.MISSING_INPUT,
        )
    return model


def random_twin(model_class: Any, config: Any, *, seed: int) -> Any:
    """Build the architecture with random weights; the caller's random state is left alone.

    Parameters
    ----------
    model_class : transformers class; ``AutoModel`` or a model class
    config : transformers configuration
    seed : int
    """
    build = getattr(model_class, "from_config", model_class)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return build(config)


def quiet_transformers() -> None:
    """Keep progress bars of loading out of the log."""
    from transformers.utils import logging as transformers_logging

    quiet: Any = transformers_logging.disable_progress_bar
    quiet()
