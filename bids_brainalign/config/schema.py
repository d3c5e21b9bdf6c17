"""The configuration: frozen dataclasses, built once in ``cli`` and passed down in slices.

Every attribute is documented under itself; the section names are the TOML tables.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from bids_brainalign.config.production import Production
from bids_brainalign.config.tuning import Tuning

WHISPER_WINDOW_S = 30.0
"""Length of Whisper's windows, part of the model."""
DOWNLOADS = "models"
"""Below the work folder: models that ``--allow-download`` got without ``--model-dir``."""


@dataclass(frozen=True)
class Paths:
    """Where things are."""

    bids_dir: Path
    output_dir: Path
    work_dir: Path
    derivatives: tuple[tuple[str, Path], ...] = ()
    """``-d NAME=PATH``."""
    stimuli_map: Path | None = None
    """TSV: recording entities → stimulus file, onset, transcript, content_group."""
    folds: Path | None = None
    """TSV: run or time range → fold, test, exclude."""
    features: tuple[tuple[str, Path], ...] = ()
    """``--features NAME=DIR``: own features, one ``.npy``/``.h5`` per stimulus."""
    targets: tuple[Path, ...] = ()
    """``--targets``: a TSV of electrodes, or a mask of voxels."""
    phone_classes: Path | None = None
    """TSV: phone, class."""
    behaviour: Path | None = None
    """TSV: scores of participants, or of pairs of phones; for the group level."""
    bids_database_dir: Path | None = None
    model_dir: Path | None = None
    """Where models lie that ``--models`` names by their hub id."""


@dataclass(frozen=True)
class Selection:
    """Which recordings run; empty = all. Labels come without ``sub-``, ``ses-`` and so on."""

    participants: tuple[str, ...] = ()
    sessions: tuple[str, ...] = ()
    tasks: tuple[str, ...] = ()
    runs: tuple[str, ...] = ()
    space: str | None = None
    filters: tuple[tuple[str, tuple[tuple[str, tuple[str, ...]], ...]], ...] = ()
    """``--bids-filter-file``: query (``ieeg``, ``eeg``, ``bold``) → entity → accepted values."""


@dataclass(frozen=True)
class Stimuli:
    """How annotations of stimuli are read."""

    word_tiers: tuple[str, ...] = ("words", "word")
    """Names of TextGrid tiers that hold words; the first that a file has is taken."""
    phone_tiers: tuple[str, ...] = ("phones", "phone")


@dataclass(frozen=True)
class Features:
    """Speech models and low-level features."""

    models: tuple[tuple[str, str], ...] = ()
    """NAME → local folder, or hub id."""
    untrained: bool = True
    """Also run each model's twin with random weights."""
    hop_s: float = 18.0
    """Between Whisper's windows of 30 s: 20 s less the 2 s over which neighbours are blended."""
    margin_s: float = 5.0
    """Audio kept on both sides of every used frame of Whisper."""
    blend_s: float = 2.0
    """Cross-fade between neighbouring windows."""
    waveform_window_s: float = 20.0
    """Window of the other speech models (wav2vec2, HuBERT, WavLM …)."""
    waveform_hop_s: float = 10.0
    waveform_margin_s: float = 4.0
    """Within a story a used frame hears at most window less margin, 16 s as published."""
    ieeg_rate_hz: float = 50.0
    """Rate at which features are kept for iEEG and EEG; for iEEG also the responses'."""
    fmri_rate_hz: float = 10.0
    n_mels: int = 16
    """Bands of the low-level mel spectrogram."""
    lowlevel: tuple[str, ...] = ("envelope", "mel", "words", "phones")
    """What the low-level baseline holds: ``envelope``, ``mel``, onsets of ``words`` and ``phones``
    (at the TR of fMRI: their rates), ``articulation`` (manner, place, voicing, vowels), and
    ``phone-histogram`` (39 phones of English)."""
    mode: tuple[str, ...] = ("dense",)
    """``dense`` (long overlapping windows, blended), ``sliding`` (a window per frame, as
    published), ``causal`` (windows that end at the frame); several make several feature spaces."""
    causal_stride_s: float = 0.1
    """Between the ends of two causal or sliding windows."""
    causal_window_s: float = 30.0
    """Whisper's causal windows; below 30 s the encoder runs on fewer positions than it was
    trained with, in much less time."""
    sliding_window_s: float = 16.1
    """Sliding windows, and causal ones of the other speech models: 16 s of context + 0.1 s."""
    text_context_words: int = 32
    """Words of the same stimulus that a language model reads before each word, with it."""
    text_words_per_pass: int = 1
    """Words whose states a language model gives in one pass. With 1 each word is read with
    exactly `text_context_words`; with as many as these, with up to twice as many, in a fraction of
    the time."""
    text_pooling: str = "last"
    """Whose state a word gets from a language model: ``last`` of its tokens, or their ``mean``."""
    decoder: bool = False
    """Also every layer of Whisper's decoder per word, reading the transcript along with the
    audio (``NAME:decoder``)."""


@dataclass(frozen=True)
class Ieeg:
    """Intracranial responses and their lags."""

    reference: str = "car"
    """``none``, ``car``, ``car-device``, ``bipolar`` or ``laplacian``."""
    compare_reference: bool = False
    """Run every model again on responses as recorded where the reference is a common average."""
    high_gamma: str = "filterbank"
    """``filterbank``, ``podcast2025``, ``dutch2022``, ``multitaper`` or ``morlet``."""
    band_hz: tuple[float, ...] = ()
    """Lower and upper frequency; empty: high gamma, in the method's own band."""
    lag_min_s: float = -0.1
    lag_max_s: float = 0.6
    lag_step_s: float = 0.04
    n_components: int = 64
    """PCA dimensions per layer, fitted on training data."""
    trim_start_s: float = 0.5
    """Response seconds left out after each stimulus onset (onset transient)."""


@dataclass(frozen=True)
class Eeg:
    """Scalp EEG: its response and lags."""

    reference: str = "average"
    """``average`` or ``none``."""
    band_hz: tuple[float, ...] = (1.0, 15.0)
    """Pass band of the potential that is predicted."""
    high_gamma: str = ""
    """A method of ``ieeg.high_gamma`` in place of the potential: mostly muscle on the scalp."""
    rate_hz: float = 64.0
    """Clock of the response; features are interpolated onto it."""
    lag_min_s: float = -0.1
    lag_max_s: float = 0.6
    lag_step_s: float = 0.03125
    """Two samples at 64 Hz."""
    n_components: int = 64
    """PCA dimensions per layer, fitted on training data."""
    trim_start_s: float = 0.5
    """Response seconds left out after each stimulus onset (onset transient)."""


@dataclass(frozen=True)
class Lags:
    """Lag curves: electrodes predicted from features at one lag at a time."""

    modes: tuple[str, ...] = ("continuous",)
    """``continuous`` (every sample), ``word`` (responses averaged around word onsets)."""
    min_s: float = -0.4
    """Positive lags: the response follows the sound."""
    max_s: float = 0.8
    step_s: float = 0.06
    """Peaks are placed between lags by a parabola."""
    word_min_s: float = -2.0
    word_max_s: float = 2.0
    word_step_s: float = 0.05
    word_window_s: float = 0.2
    """Response averaged around each lag from the word's onset."""
    n_components: int = 50
    """PCA dimensions per layer, fitted on training data."""


@dataclass(frozen=True)
class Fmri:
    """BOLD responses and their delays."""

    hrf: str = "fir"
    """``fir`` (features at several delays, so that ridge finds each voxel's own response), or
    features convolved with a canonical response and no delays: ``glover``, ``spm``."""
    delay_min_s: float = 1.0
    delay_max_s: float = 9.0
    """All multiples of the TR in this range; for ``fir``."""
    trim_start_s: float = 10.0
    high_pass_s: float = 128.0
    """Cut-off period of the cosine set built when fMRIPrep's is missing."""
    smoothing_fwhm_mm: float = 0.0
    """Of volumes."""
    confounds: str = "default"
    """``default`` (6 motion parameters with derivatives, white matter, CSF, drifts) or a strategy
    of nilearn: ``simple``, ``scrubbing``, ``compcor``, ``ica_aroma``."""


@dataclass(frozen=True)
class Anatomy:
    """Regions of electrodes, and of voxels and vertices."""

    atlas: str | None = None
    """A name (``destrieux`` …, ``freesurfer``: the participant's own; ``seitzman``: spheres that
    need no download) or a file: a label image of voxels with its table beside it, and for fMRI
    ``.annot``, ``.label.gii`` (one of the pair, or its folder) and ``.dlabel.nii``."""
    atlas_space: str = ""
    """Space of an image given as file; without it that of its name, else MNI152."""
    limit_mm: float = 5.0
    """Farther from any label an electrode's region is ``unknown``."""
    strip_limit_mm: float = 10.0
    sphere_mm: float = 4.0
    """Radius in which labelled voxels are counted for the probability of a label."""


@dataclass(frozen=True)
class Rois:
    """Regions of interest of fMRI, in the atlas of ``anatomy.atlas``."""

    sets: tuple[str, ...] = ()
    """Named sets (``A1``, ``early-auditory``, ``late-language``, ``AG`` …); none: those that are
    usual for the atlas."""
    own: tuple[tuple[str, tuple[str, ...]], ...] = ()
    """``[rois.own]``: name → labels of the atlas, without side; ``*`` for any ending."""
    all_regions: bool = False
    """Also every region of the atlas. Without any set that the atlas knows, they are taken all the
    same."""


@dataclass(frozen=True)
class Ridge:
    """Ridge regression; penalties in scikit-learn's convention."""

    alphas: tuple[float, ...] = tuple(10.0 ** (2 + 0.5 * i) for i in range(15))
    """1e2 … 1e9; on standardised features."""
    choose_by: str = "correlation"
    """Score on the inner folds that penalties, layers and band weights are chosen by:
    ``correlation`` or ``r2``."""
    solver: str = "own"
    """Of voxels: ``own``, or ``himalaya``, which gives the same and takes longer."""
    scoring: str = "fp32"
    """Precision in which our solver of voxels looks at all penalties: ``fp32``, or ``bf16``, after
    which those that may be best are scored in float32. For processors with AMX, and GPUs."""
    band_weights: tuple[float, ...] = (0.5, 0.9)
    """Share of the model in the two-band kernel; 0 (low-level alone) is always tried."""
    top_layers: int = 0
    """Combine this many of the best layers per electrode (iEEG, EEG); 0: don't. Costs as much
    as the encoding of the model."""
    partition_models: bool = False
    """Variance of every pair of models: of each alone, and shared (iEEG, EEG). One fit
    of both for every fold and every two layers that some electrode chose: hours with large models
    and many electrodes."""
    fixed_alpha: float = 1e5
    """Used, and said, where inner folds don't fit."""

    @property
    def metric(self) -> Literal["correlation", "r2"]:
        """``choose_by``, checked."""
        return "r2" if self.choose_by == "r2" else "correlation"


@dataclass(frozen=True)
class Recurrent:
    """Networks on the ridge's window: gru, lstm, attention, recurrent, mlp.

    30 min of 235 electrodes at 50 Hz (72,000 training rows of 18 lags × 64 dimensions), CPU
    seconds of one network that stops after 7 epochs: gru 14 (at most 60 to 80, with all 40),
    attention 3, mlp 2; ridge's fold with the residuals for networks 6. benchmarks/recurrent.py
    measures it.
    """

    linear_path: bool = True
    """Add the network to the ridge, and train it on what the ridge leaves of unseen rows; without,
    the network replaces the ridge, as published."""
    layers: str = "selected"
    """``selected``: per outer fold the layer whose ridge does best on the inner folds, over all
    electrodes; ``all``: every layer."""
    seeds: int = 3
    hidden: int = 32
    """Units of the input layer, and of the recurrent layer in each direction."""
    queries: int = 4
    """Attention patterns; electrodes weigh them, so that not all need the same lag."""
    dropout: float = 0.2
    epochs: int = 40
    rows_per_epoch: int = 16384
    """Rows drawn per epoch, of all training rows."""
    batch_rows: int = 512
    learning_rate: float = 3e-3
    weight_decay: float = 0.05
    patience: int = 6
    """Epochs without a better validation error before training stops."""
    validation_share: float = 0.15
    """Of the training rows: a contiguous block with a gap around it."""
    n_bootstrap: int = 2000
    block_s: float = 30.0
    """Least length of the blocks of held-out time that the bootstrap draws."""
    null_fits: int = 5
    """Networks trained on shifted responses, for the null of attention and occlusion."""


@dataclass(frozen=True)
class Mlp:
    """A network of voxels beside ridge (fMRI; iEEG and EEG: ``recurrent``).

    One hidden layer on the ridge's delayed features, shared by all voxels, and a linear output.
    Weight decay, epochs and how much of it each voxel takes are chosen on the inner folds.
    """

    linear_path: bool = True
    """Add the network to the ridge, and train it on what the ridge leaves of unseen rows; without,
    the network replaces the ridge."""
    seeds: int = 3
    hidden: int = 256
    dropout: float = 0.5
    """Of hidden units (Srivastava et al. 2014, J Mach Learn Res 15, section 7)."""
    epochs: int = 100
    """At most."""
    batch_rows: int = 128
    learning_rate: float = 1e-3
    """Kingma & Ba 2015 (Adam), section 2."""
    weight_decays: tuple[float, ...] = (0.01, 1.0)
    """Tried on the inner folds; decoupled from the gradient, per unit of learning rate (Loshchilov
    & Hutter 2019, algorithm 2). 0.01 is the default of torch's AdamW."""
    patience: int = 10
    """Epochs without a smaller error on an inner fold before its network stops."""


@dataclass(frozen=True)
class Timescale:
    """Precision in time of the ridge's scores (iEEG, EEG)."""

    jitter_s: tuple[float, ...] = ()
    """Ridge is fitted again on features shifted in pieces by up to this; one more fit each."""


@dataclass(frozen=True)
class Folds:
    """Cross-validation."""

    max_inner: int = 3
    soft_gap_share: float = 0.15
    """The soft gap may cost at most this share of the training samples."""
    transcript_overlap: float = 0.3
    """Share of common 5-grams above which two stimuli are one content group."""
    min_samples: int = 30


@dataclass(frozen=True)
class Nulls:
    """Null distributions."""

    n_draws: int = 2000
    censored_limit: float = 0.5
    """A run with a larger censored share fails."""


@dataclass(frozen=True)
class Ceiling:
    """Noise ceilings, where a held-out stimulus was presented more than once."""

    select: str = "none"
    """fMRI: score the voxels with a ceiling as parcels of their own. ``halves``: the first half of
    the repeated stimulus selects, the second half is scored (for all parcels and maps);
    ``published``: the same samples do both, and the scores are labelled circular."""
    threshold: float = 0.4
    """Least ceiling of a selected voxel, beside its significance (Moussa et al. 2025)."""


@dataclass(frozen=True)
class Phonemes:
    """Responses to phones (iEEG)."""

    times: str = "auto"
    """Phone times: ``annotated`` alone, ``auto`` (where there are none, aligned from words if
    pocketsphinx or espeak-ng is installed) or ``align`` (the same, an error if neither is). The
    low-level baseline and averages around phone onsets use them, too, in every modality."""
    window_centre_s: float = 0.15
    window_s: float = 0.05
    """Window after phone onset (Mesgarani et al. 2014; code of the Chang lab)."""
    min_tokens: int = 30
    """Rarer phones are not tested."""
    variance: bool = True
    """Also test what phones add to acoustics, by banded ridge."""


@dataclass(frozen=True)
class Decoding:
    """From electrodes back to the embedding of the speech (iEEG, EEG)."""

    decoders: tuple[str, ...] = ()
    """``ridge``, ``gru``; none: no decoding."""
    lag_min_s: float = 0.0
    lag_max_s: float = 0.4
    """Responses looked at follow the speech by this range of lags."""
    lag_step_s: float = 0.04
    n_components: int = 64
    """PCA dimensions of the embedding, fitted on training data."""
    electrode_components: int = 0
    """PCA dimensions of the responses; 0 keeps every electrode."""
    unit: str = "segment"
    """What is told apart: ``segment`` (end to end) or ``word`` (segments that begin at onsets)."""
    segment_s: float = 2.0
    step_s: float = 0.1
    """A segment is described by the embedding's course in these steps."""
    apart_s: float = 2.0
    """Segments less than this apart are not compared: neighbours are alike."""
    max_segments: int = 150
    """Per fold, evenly thinned."""
    gru_hidden: int = 32
    gru_seeds: int = 3
    gru_epochs: int = 60
    """At most; training stops early on the first inner folds."""
    transcribe: bool = False
    """Let Whisper's decoder write down predicted states of its last encoder layer."""
    transcribe_windows: int = 40
    """At most, evenly thinned: each is decoded word by word, three times."""


@dataclass(frozen=True)
class Probes:
    """What layers of models tell of speech, on the stimuli and on folders of speech."""

    kinds: tuple[str, ...] = ()
    """``mfcc``, ``mel``, ``phones``, ``words``, ``vectors``, ``sentence-type``, ``speaker``,
    ``emotion``, ``intent``; none: no probes. A probe runs where the data offer its labels."""
    data: tuple[tuple[str, Path], ...] = ()
    """NAME → folder of TIMIT, LibriSpeech, Speech Commands, CREMA-D, or with ``clips.tsv``."""
    vectors: Path | None = None
    """GloVe or FastText file, for ``vectors``."""
    originals: tuple[tuple[str, str], ...] = ()
    """NAME of a model → NAME of the model that it was before, for changes. With two models and
    nothing given, the second is compared with the first."""
    similarity: bool = False
    """Likeness of layers to each other and to responses, by CKA and RSA."""
    frame_step_s: float = 0.1
    """Stretch over which features, and sound, are averaged for ``mfcc`` and ``mel``."""
    segment_s: float = 0.5
    """Stretch over which features are averaged for ``phones`` and for similarity."""
    min_tokens: int = 10
    """Of each word or phone among the training rows; rarer ones are left out."""
    max_rows: int = 8000
    """Per probe, evenly thinned."""
    max_clips: int = 2000
    """Of a folder of speech, evenly thinned: each is one pass of the model."""
    block_s: float = 10.0
    """Test stretches that the bootstrap of the intervals draws; speakers where there are 10."""
    n_null: int = 200
    """Probes refitted on shifted or exchanged labels."""
    n_bootstrap: int = 2000
    similarity_rows: int = 800
    """Segments, or samples of responses, that are compared: time and memory go with the square."""
    response_lag_s: float = 0.15
    """Responses of electrodes are compared with features this much earlier."""


@dataclass(frozen=True)
class Resources:
    """What the run may use."""

    nprocs: int = 1
    omp_nthreads: int = 1
    mem_gb: float | None = None
    device: str = "auto"
    """Of speech models, networks, and ridge of voxels by our solver."""
    precision: str = "fp32"
    """Of speech models: ``fp32``, ``bf16`` or ``fp16``."""
    batch_size: int = 1


@dataclass(frozen=True)
class Control:
    """How the run behaves; never part of a cache key."""

    steps: tuple[str, ...] = ("features", "responses", "encoding", "phonemes", "reports")
    skip_bids_validation: bool = False
    allow_download: bool = False
    dry_run: bool = False
    stop_on_first_crash: bool = False
    reports_only: bool = False
    boilerplate_only: bool = False
    clean_workdir: bool = False
    verbose: int = 0


@dataclass(frozen=True)
class Config:
    """Everything one run depends on."""

    level: str
    """``participant`` or ``group``."""
    paths: Paths
    recipe: str | None = None
    modalities: tuple[str, ...] = ("ieeg", "eeg", "fmri")
    """Which data the recipe is for."""
    random_seed: int = 42
    sloppy: bool = False
    language: str = "en"
    """BCP-47 tag of stimuli whose language nothing else tells."""
    encoders: tuple[str, ...] = ("ridge",)
    """``ridge`` always runs; the others of ``--encoder`` beside it, for iEEG and EEG; ``mlp`` for
    fMRI, too."""
    save: tuple[str, ...] = ()
    """Beyond the usual outputs: ``predictions`` (of voxels), ``weights``."""
    selection: Selection = field(default_factory=Selection)
    stimuli: Stimuli = field(default_factory=Stimuli)
    features: Features = field(default_factory=Features)
    ieeg: Ieeg = field(default_factory=Ieeg)
    eeg: Eeg = field(default_factory=Eeg)
    lags: Lags = field(default_factory=Lags)
    fmri: Fmri = field(default_factory=Fmri)
    anatomy: Anatomy = field(default_factory=Anatomy)
    rois: Rois = field(default_factory=Rois)
    ridge: Ridge = field(default_factory=Ridge)
    recurrent: Recurrent = field(default_factory=Recurrent)
    mlp: Mlp = field(default_factory=Mlp)
    timescale: Timescale = field(default_factory=Timescale)
    folds: Folds = field(default_factory=Folds)
    nulls: Nulls = field(default_factory=Nulls)
    ceiling: Ceiling = field(default_factory=Ceiling)
    phonemes: Phonemes = field(default_factory=Phonemes)
    decoding: Decoding = field(default_factory=Decoding)
    tuning: Tuning = field(default_factory=Tuning)
    probes: Probes = field(default_factory=Probes)
    production: Production = field(default_factory=Production)
    resources: Resources = field(default_factory=Resources)
    control: Control = field(default_factory=Control)

    def electrodes(self, modality: str) -> Ieeg | Eeg:
        """Give the settings of recordings of electrodes: ``eeg`` or ``ieeg``."""
        return self.eeg if modality == "eeg" else self.ieeg
