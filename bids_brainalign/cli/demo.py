"""``brainalign demo``: simulate, analyse, and say whether the planted answer was found."""

from __future__ import annotations

from pathlib import Path

from bids_brainalign import __version__
from bids_brainalign.errors import ExitCode
from bids_brainalign.features.embedded import EMBEDDED, embedded_model_folder
from bids_brainalign.simulate.bids_tree import start_dataset
from bids_brainalign.simulate.dataset import BIDS_FOLDER, TRUTH_FILE, simulate_dataset
from bids_brainalign.simulate.demo_audio import demo_stories
from bids_brainalign.simulate.ground_truth import GroundTruth, read_ground_truth
from bids_brainalign.simulate.recovery import format_recovery, passed, recover

N_IEEG_STORIES = 4
"""Of the eight shipped ones; the others are longer, as BOLD is slow, and go to fMRI."""
N_PARTICIPANTS = 2
LAYERS = (2, 5)
"""Planted. Layers 0 to 2 of the model predict nearly alike in BOLD; 2 stands out."""
WHAT_IT_IS = (
    f"The brains are simulated from the model {EMBEDDED} that is shipped with the program. What "
    "is shown is that the program finds what was planted."
)


def run_demo(out_dir: Path, *, seed: int, app_options: tuple[str, ...] = ()) -> int:
    """Run the whole program on a simulated dataset with ECoG and fMRI.

    Parameters
    ----------
    out_dir : Path
        Gets ``bids/``, ``ground_truth.json``, ``work/`` and ``derivatives/``. A
        dataset of the same version and seed that lies there is used again.
    seed : int
    app_options : tuple of str
        Passed to ``bids-brainalign`` (resources).

    Returns
    -------
    int
        Exit code of the app if it failed; 1 if a planted answer was not found; else 0.
    """
    from bids_brainalign.cli.app import main as app

    print(WHAT_IT_IS, flush=True)
    truth = _dataset(out_dir, seed=seed)
    output_dir = out_dir / "derivatives"
    places = [str(out_dir / BIDS_FOLDER), str(output_dir)]
    options = ["-w", str(out_dir / "work")]
    for level in ("participant", "group"):
        code = app([*places, level, *options, *app_options])
        if code != ExitCode.OK:
            return code
    results = recover(truth, output_dir)
    print(f"\nPlanted and found ({WHAT_IT_IS})\n\n{format_recovery(results)}\n")
    print(f"Report: {output_dir / 'index.html'}")
    if all(passed(results, one) is not False for one in results):
        print("The planted answer was found.")
        return int(ExitCode.OK)
    print("The planted answer was NOT found.")
    return int(ExitCode.SOME_FAILED)


def _dataset(out_dir: Path, *, seed: int) -> GroundTruth:
    path = out_dir / TRUTH_FILE
    if path.is_file():
        truth = read_ground_truth(path)
        if (truth.seed, truth.made_by, truth.model) == (seed, __version__, EMBEDDED):
            print(f"Using the simulated dataset in {out_dir / BIDS_FOLDER}", flush=True)
            return truth
    start_dataset(out_dir / BIDS_FOLDER)
    print(f"Simulating ECoG and fMRI of {N_PARTICIPANTS} listeners each …", flush=True)
    stories = demo_stories()
    return simulate_dataset(
        out_dir,
        model=EMBEDDED,
        model_folder=embedded_model_folder(),
        ieeg_stories=stories[:N_IEEG_STORIES],
        fmri_stories=stories[N_IEEG_STORIES:],
        n_participants=N_PARTICIPANTS,
        layers=LAYERS,
        seed=seed,
    )
