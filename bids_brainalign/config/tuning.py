"""Settings of brain-tuning: ``[tuning]``."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Tuning:
    """Train a speech model to predict responses, per participant, and hold it to its original.

    Stories are training, validation or test stories for the whole run: ridge is fitted on
    training stories, penalties, layers and the epoch are chosen on validation stories, for
    original and tuned models alike, and test stories are scored once.
    """

    variants: tuple[str, ...] = ()
    """What is trained: ``tuned``, and its controls: ``permuted`` (the same with responses in
    blocks of another order), ``stimulus`` (the training stories without responses: masked frames
    are predicted), ``features=NAME`` (features of another model of the run in place of responses:
    of a language model, or a larger speech model); ``together``: one model on the responses of all
    participants of the run, beside those of their own. None: nothing is."""
    compare: tuple[str, ...] = ()
    """Settings of which each value is trained, too: ``readout-layer=6,last``,
    ``cnn=frozen,thawed``, ``seed=0,1,2``; values of several settings are crossed."""
    transfer: bool = False
    """Score every participant with the models that were tuned on others, too."""
    seed: int = 0
    """Of first weights, order of batches and dropout, together with the master seed."""
    feature_layer: int = -1
    """Layer of NAME that ``features=NAME`` predicts; −1: the last."""
    model: str = ""
    """NAME of the model that is tuned; empty: the only speech model of the run."""
    test_stories: tuple[str, ...] = ()
    """Names of stimuli; empty: the repeated story, or one content group in ten."""
    validation_stories: tuple[str, ...] = ()
    """Names of stimuli; empty: one content group in ten."""
    allow_few_stories: bool = False
    """Tune with three stories or fewer, one of which trains."""
    targets: str = "whole"
    """What is trained on: ``whole``, ``left``, ``right``, a region of interest, ``NAME:selected``
    (with ``[ceiling] select``), or all but one of them: ``not:NAME``. Everything is scored."""
    input: str = "clips"
    """``clips``: a clip per response, mean of its frames (Moussa et al. 2025). ``blocks``: rows in
    blocks with their true history, through Lanczos and delays (Vattikonda et al. 2025)."""
    readout_layer: int = -1
    """Layer that is read, 0 = input of the first block; −1: the last."""
    adaptation: str = "full"
    """``full`` or ``lora``."""
    cnn: str = "frozen"
    """Convolutions before the transformer: ``frozen`` or ``thawed``."""
    up_to_layer: int = -1
    """Blocks up to this layer are trained; −1: up to the one that is read."""
    lora_rank: int = 8
    lora_alpha: float = 32.0
    lora_dropout: float = 0.1
    lora_modules: tuple[str, ...] = ()
    """Linear modules that get adapters; empty: queries, keys and values."""
    readout: str = "trained"
    """``trained`` along, or ``pinned`` at the ridge solution of the original."""
    bottleneck: int = 0
    """Units between features and targets; 0: none."""
    normalisation: str = "none"
    """Of features before the readout: ``none``, ``training`` or ``block``."""
    loss: str = "mse"
    """``mse``, ``spatial``, ``temporal``, ``cosine``, ``contrastive``, or sums of them:
    ``mse+0.5*spatial``."""
    epochs: int = 30
    patience: int = 5
    """Epochs without a better validation score of ridge before training stops; 0: none."""
    batch_rows: int = 128
    batches_per_update: int = 1
    learning_rate: float = 5e-5
    head_learning_rate: float = 1e-4
    schedule: str = "linear"
    warmup_share: float = 0.1
    weight_decay: float = 0.0
    clip_norm: float = 0.0
    """Longest gradient; 0: any."""
    regularised: bool = False
    """The model's own dropout, layer drop and SpecAugment in training."""
    gradient_checkpointing: bool = False
    """Less memory, a third more time."""
    clip_s: float = 10.0
    """Clips: audio before the end of each response's TR."""
    window_s: float = 4.0
    step_s: float = 0.25
    """Blocks: windows of audio, and how often one ends."""
    source: str = "windows"
    """Blocks: ``windows``, or ``dense`` clips, which cost less."""
    checkpoint_updates: int = 200
    """Updates between checkpoints."""
