"""The options of the BIDS app.

Each option's destination is the key of the configuration that it sets (``ieeg.reference``); an
option that is not given sets nothing.
"""

from __future__ import annotations

import argparse

from bids_brainalign import __version__
from bids_brainalign.cli.arguments import PROG, AppParser
from bids_brainalign.config.checks import (
    ATLASES,
    CONFOUNDS,
    DECODERS,
    ENCODERS,
    FEATURE_MODES,
    HIGH_GAMMA,
    PRECISIONS,
    PROBES,
    REFERENCES,
    SAVE,
    SOLVERS,
    STEPS,
)
from bids_brainalign.config.recipes import list_recipes


def build_parser() -> AppParser:
    """Make the parser; its help is the reference of the options."""
    parser = AppParser(
        prog=PROG,
        usage=f"{PROG} BIDS_DIR OUTPUT_DIR {{participant,group}} [options]",
        description="Align speech and language models with ECoG, sEEG, EEG and fMRI recordings.",
        epilog="Options with several values go after the three positional arguments. "
        "Underscores instead of hyphens are accepted.",
        allow_abbrev=False,
        argument_default=argparse.SUPPRESS,
    )
    parser.add_argument("bids_dir", metavar="BIDS_DIR", help="root folder of the BIDS dataset")
    parser.add_argument("output_dir", metavar="OUTPUT_DIR", help="where derivatives go")
    parser.add_argument("level", metavar="{participant,group}", help="analysis level")
    add_selection(parser.add_argument_group("selection"))
    _add_material(parser.add_argument_group("own material"))
    _add_work(parser.add_argument_group("work"))
    _add_probes(parser.add_argument_group("probes of models"))
    _add_resources(parser.add_argument_group("resources"))
    _add_control(parser.add_argument_group("control"))
    return parser


def add_selection(group: argparse._ArgumentGroup) -> None:
    """Add the options that say which recordings, as ``brainalign check`` has them too."""

    def several(*names: str, dest: str, help: str) -> None:
        group.add_argument(
            *names, dest=dest, nargs="+", action="extend", metavar="LABEL", help=help
        )

    several(
        "--participant-label",
        dest="selection.participants",
        help="participants, with or without sub-; @FILE reads labels from a file",
    )
    several("--session-label", "--session-id", dest="selection.sessions", help="sessions")
    several("-t", "--task-label", "--task-id", dest="selection.tasks", help="tasks")
    several("--run-label", "--run-id", dest="selection.runs", help="runs")
    group.add_argument(
        "--bids-filter-file",
        dest="selection.filters",
        metavar="JSON",
        help="entities to require, per kind of query (ieeg, eeg, bold)",
    )
    group.add_argument(
        "--space",
        dest="selection.space",
        metavar="LABEL",
        help="space of the fMRI: of volumes (MNI152NLin2009cAsym:res-2, T1w), of surfaces "
        "(fsaverage5, fsnative) or of CIFTI files (fsLR or 91k)",
    )
    group.add_argument(
        "-d",
        "--derivatives",
        dest="paths.derivatives",
        nargs="+",
        action="extend",
        metavar="NAME=PATH",
        help="input derivatives: fmriprep=/path, a folder of HDF5 responses (ds003020), or "
        "prepared recordings of electrodes",
    )
    group.add_argument(
        "--stimuli-map",
        dest="paths.stimuli_map",
        metavar="TSV",
        help="which stimulus was played when: recording entities, stimulus file, onset",
    )


def _add_material(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--features",
        dest="paths.features",
        nargs="+",
        action="extend",
        metavar="NAME=DIR",
        help="features of your own: a .npy or .h5 file with times per stimulus; vectors of spoken "
        "words: words.tsv",
    )
    group.add_argument(
        "--folds",
        dest="paths.folds",
        metavar="TSV",
        help="folds of your own: run or time range, and fold, test or exclude",
    )
    group.add_argument(
        "--targets",
        dest="paths.targets",
        nargs="+",
        action="extend",
        metavar="TSV|MASK",
        help="electrodes (a table with the column name) or voxels (a NIfTI mask) to analyse",
    )
    group.add_argument(
        "--atlas",
        dest="anatomy.atlas",
        metavar="NAME|FILE",
        help="regions of electrodes, and regions of interest of fMRI: "
        f"{', '.join(ATLASES[:-2])}, freesurfer (each participant's own), seitzman (fMRI; "
        "needs no download), or a label image (.nii.gz, .mgz) with its table beside it; for "
        "surfaces and CIFTI .annot or .label.gii (one of the pair, or their folder) and "
        ".dlabel.nii",
    )
    group.add_argument(
        "--phone-classes",
        dest="paths.phone_classes",
        metavar="TSV",
        help="classes of phones of your own: columns phone and class "
        "(default: manner of articulation)",
    )
    group.add_argument(
        "--behaviour",
        dest="paths.behaviour",
        metavar="TSV",
        help="group level: participant_id and scores, or phone_a, phone_b and score (how alike "
        "they are heard), correlated with responses to phones",
    )
    group.add_argument(
        "--language",
        metavar="TAG",
        help="language of stimuli where nothing else tells it, e.g. nl (default: en)",
    )
    group.add_argument(
        "--allow-few-stories",
        dest="tuning.allow_few_stories",
        action="store_true",
        help="brain-tuning: go on with three stories, which can't tell whether it helped",
    )
    group.add_argument(
        "--compare",
        dest="tuning.compare",
        nargs="+",
        action="extend",
        metavar="SETTING=A,B",
        help="brain-tuning: train each of these values, too, e.g. readout-layer=6,last "
        "cnn=frozen,thawed seed=0,1,2; several settings are crossed",
    )
    group.add_argument(
        "--transfer",
        dest="tuning.transfer",
        action="store_true",
        help="brain-tuning: score every participant with the models that were tuned on others, "
        "too",
    )
    group.add_argument(
        "--word-window",
        dest="production.window_s",
        nargs=2,
        type=float,
        metavar=("FROM", "TO"),
        help="speech-production: the response to a word is the mean between these seconds after "
        "its onset (default: 0 1)",
    )
    group.add_argument(
        "--realign",
        dest="production.realign",
        action="store_true",
        help="speech-production: shift onsets by the lag between sound and responses, fit again, "
        "and show both",
    )
    group.add_argument(
        "--save",
        nargs="+",
        action="extend",
        choices=SAVE,
        metavar="WHAT",
        help="also write predictions (of voxels) or weights (per delay, in feature units)",
    )


def _add_work(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--recipe",
        metavar="NAME|FILE",
        help=f"settings of a published method: {', '.join(list_recipes())}, or a TOML file",
    )
    group.add_argument(
        "--config-file",
        metavar="TOML",
        help="settings that have no option; each run leaves its own in logs/",
    )
    group.add_argument(
        "--steps",
        dest="control.steps",
        nargs="+",
        action="extend",
        metavar="STEP",
        help=f"some of {', '.join(STEPS)}",
    )
    group.add_argument(
        "--models",
        dest="features.models",
        nargs="+",
        action="extend",
        metavar="NAME=SOURCE",
        help="speech and language models: a name and a local folder or a hub id "
        "(openai/whisper-base); GloVe or FastText: a name and the file",
    )
    group.add_argument(
        "--model-dir",
        dest="paths.model_dir",
        metavar="DIR",
        help="where models lie that are given by hub id (see brainalign fetch)",
    )
    group.add_argument(
        "--allow-download",
        dest="control.allow_download",
        action="store_true",
        help="download models that are not on this machine; else nothing touches the network",
    )
    group.add_argument(
        "--no-untrained",
        dest="features.untrained",
        action="store_false",
        help="leave out the models' twins with random weights",
    )
    group.add_argument(
        "--encoder",
        dest="encoders",
        nargs="+",
        action="extend",
        choices=ENCODERS,
        metavar="NAME",
        help=f"encoding models for iEEG and EEG, of {', '.join(ENCODERS)}; ridge always "
        "runs; mlp is for voxels, too",
    )
    group.add_argument(
        "--solver",
        dest="ridge.solver",
        choices=SOLVERS,
        help="ridge of voxels: own (default), or himalaya, which gives the same and takes longer",
    )
    group.add_argument(
        "--feature-mode",
        dest="features.mode",
        nargs="+",
        action="extend",
        choices=FEATURE_MODES,
        metavar="MODE",
        help="dense (default), sliding (a window per frame, as published; slow), causal (windows "
        "that end at the frame; slow); several to compare them",
    )
    group.add_argument(
        "--causal-stride",
        dest="features.causal_stride_s",
        type=float,
        metavar="S",
        help="seconds between causal or sliding windows (default: 0.1)",
    )
    group.add_argument(
        "--sliding-window",
        dest="features.sliding_window_s",
        type=float,
        metavar="S",
        help="length of sliding windows in seconds (default: 16.1, every 0.1 s; BrainWavLM: 4 "
        "with --causal-stride 0.25)",
    )
    group.add_argument(
        "--decoder-features",
        dest="features.decoder",
        action="store_true",
        help="also every layer of Whisper's decoder per word, reading the words along with the "
        "audio (NAME:decoder); needs word times",
    )
    group.add_argument(
        "--sloppy", action="store_true", help="quick and rough: for trying out, not for results"
    )
    group.add_argument("--random-seed", type=int, metavar="N", help="master seed")
    group.add_argument(
        "--reference", dest="ieeg.reference", choices=REFERENCES, help="iEEG reference"
    )
    group.add_argument(
        "--high-gamma",
        dest="ieeg.high_gamma",
        choices=HIGH_GAMMA,
        help="how high gamma is computed",
    )
    group.add_argument(
        "--confounds",
        dest="fmri.confounds",
        choices=CONFOUNDS,
        help="what is regressed out of fMRI: 6 motion parameters with derivatives, white matter, "
        "CSF and drifts (default), or a strategy of nilearn",
    )
    group.add_argument(
        "--eeg-high-gamma",
        dest="eeg.high_gamma",
        choices=HIGH_GAMMA,
        help="high gamma of scalp EEG in place of 1 to 15 Hz: it is mostly muscle",
    )
    group.add_argument(
        "--band",
        dest="ieeg.band_hz",
        nargs=2,
        type=float,
        metavar=("LOW", "HIGH"),
        help="another band of iEEG than high gamma, in Hz, by the method of --high-gamma",
    )
    group.add_argument(
        "--decode",
        dest="decoding.decoders",
        nargs="+",
        action="extend",
        choices=DECODERS,
        metavar="DECODER",
        help="also decode the models' embeddings from electrodes: ridge, or ridge gru",
    )
    group.add_argument(
        "--transcribe",
        dest="decoding.transcribe",
        action="store_true",
        help="with --decode: let Whisper's decoder write down predicted encoder states",
    )


def _add_probes(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--probes",
        dest="probes.kinds",
        nargs="+",
        action="extend",
        choices=PROBES,
        metavar="PROBE",
        help="what each layer of the models tells of the stimuli, by linear probes, of "
        f"{', '.join(PROBES)}; see models.html",
    )
    group.add_argument(
        "--probe-data",
        dest="probes.data",
        nargs="+",
        action="extend",
        metavar="NAME=DIR",
        help="probe on these folders, too: TIMIT, LibriSpeech, Speech Commands, CREMA-D "
        "(recognised by their layout), or with a table clips.tsv",
    )
    group.add_argument(
        "--word-vectors",
        dest="probes.vectors",
        metavar="FILE",
        help="GloVe or FastText file, for --probes vectors",
    )
    group.add_argument(
        "--original",
        dest="probes.originals",
        nargs="+",
        action="extend",
        metavar="TUNED=ORIGINAL",
        help="which of --models a model was before it was tuned: their probes are compared (with "
        "two models, the second with the first)",
    )
    group.add_argument(
        "--similarity",
        dest="probes.similarity",
        action="store_true",
        help="likeness of layers to each other and to responses, by CKA and RSA",
    )


def _add_resources(group: argparse._ArgumentGroup) -> None:
    def number(*names: str, dest: str, help: str) -> None:
        group.add_argument(*names, dest=f"resources.{dest}", type=int, metavar="N", help=help)

    group.add_argument(
        "-w",
        "--work-dir",
        dest="paths.work_dir",
        metavar="DIR",
        help="intermediate results, safe to delete (default: ./work)",
    )
    number(
        "--nprocs",
        "--n-procs",
        "--n-cpus",
        "--nthreads",
        dest="nprocs",
        help="processors to use (default: all that we may use)",
    )
    number("--omp-nthreads", dest="omp_nthreads", help="threads per process")
    memory = group.add_mutually_exclusive_group()
    memory.add_argument("--mem", metavar="16G", help="memory limit, with its unit")
    memory.add_argument(
        "--mem-gb", dest="resources.mem_gb", type=float, metavar="N", help="memory limit in GB"
    )
    group.add_argument(
        "--device",
        dest="resources.device",
        metavar="auto|cpu|cuda[:n]",
        help="where models and ridge of voxels run; CUDA asked for and absent is an error",
    )
    group.add_argument(
        "--precision",
        dest="resources.precision",
        choices=PRECISIONS,
        help="of the speech models; half precision is for CUDA (bf16 also for recent CPUs)",
    )
    number("--batch-size", dest="batch_size", help="windows of audio per call of a model")


def _add_control(group: argparse._ArgumentGroup) -> None:
    def switch(name: str, help: str) -> None:
        dest = f"control.{name.removeprefix('--').replace('-', '_')}"
        group.add_argument(name, dest=dest, action="store_true", help=help)

    switch("--skip-bids-validation", "don't run bids-validator-deno on BIDS_DIR")
    group.add_argument(
        "--bids-database-dir",
        dest="paths.bids_database_dir",
        metavar="DIR",
        help="keep the index of the dataset here",
    )
    switch("--dry-run", "list what would run")
    switch("--stop-on-first-crash", "don't go on with the rest")
    switch("--reports-only", "write the reports again from what is there")
    switch("--boilerplate-only", "write the citation text only")
    switch("--clean-workdir", "empty the work folder first")
    group.add_argument(
        "--notrack", action="store_true", help="accepted and without effect: we never track"
    )
    group.add_argument(
        "-v", dest="control.verbose", action="count", help="more messages, for each v"
    )
    group.add_argument("--version", action="version", version=f"{PROG} {__version__}")
