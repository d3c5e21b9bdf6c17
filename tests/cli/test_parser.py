"""The command line: tables of (arguments, exit code, message), and what the options set."""

import argparse
import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from bids_brainalign.cli.limits import available_cpus
from bids_brainalign.cli.options import build_parser
from bids_brainalign.cli.parser import build_config
from bids_brainalign.config.schema import Config, Control
from bids_brainalign.config.toml import dump
from bids_brainalign.errors import BrainAlignError

Run = Callable[..., Config]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A dataset, a model, and files that options name; the working folder."""
    (tmp_path / "bids/derivatives/fmriprep").mkdir(parents=True)
    (tmp_path / "bids/dataset_description.json").write_text('{"Name": "x"}')
    for name, files in {
        "model": ("config.json", "model.safetensors"),
        "no-weights": ("config.json", "pytorch_model.bin"),
        "no-config": ("model.safetensors",),
        "empty": (),
        "features": (),
        "work/steps": (),
        "other-work": ("thesis.tex",),
    }.items():
        (tmp_path / name).mkdir(parents=True)
        for file in files:
            (tmp_path / name / file).touch()
    (tmp_path / "labels.txt").write_text("\ufeffsub-01\n02\n\n03 04\n")
    (tmp_path / "none.txt").write_text("\n")
    (tmp_path / "map.tsv").touch()
    (tmp_path / "a-file").touch()
    filters = {"ieeg": {"acquisition": "clinical", "run": [1, 2]}}
    (tmp_path / "filters.json").write_text(json.dumps(filters))
    (tmp_path / "bad-query.json").write_text('{"t1w": {"run": 1}}')
    (tmp_path / "bad-entity.json").write_text('{"bold": {"acqisition": "a"}}')
    (tmp_path / "bad-value.json").write_text('{"bold": {"acquisition": null}}')
    (tmp_path / "bad.json").write_text("{")
    (tmp_path / "my.toml").write_text(
        "random_seed = 7\n[ieeg]\nreference = 'none'\nhigh_gamma = 'podcast2025'\n"
    )
    (tmp_path / "typo.toml").write_text("[ieeg]\nreferences = 'none'\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def parse(line: str, *, level: str = "participant") -> Config:
    """``line`` holds the options; ``{}`` around positionals are filled in where it has none."""
    words = line.split(" ") if line else []
    return build_config(["bids", "out", level, *words])


USAGE = [
    ("--particpant-label 01", "Fix: did you mean --participant-label?"),
    ("--participant 01", "There is no option --participant."),  # no abbreviations
    ("--zzz", "see bids-brainalign --help"),
    ("extra", "Unexpected argument 'extra'"),
    ("\u2013participant-label 01", "U+2013"),
    ("\u2013-participant-label 01", "type --participant-label"),
    ("\u2014participant-label=01", "type --participant-label=01"),
    ("-\u2013mem 16G", "type --mem"),
    ("\u2212w x", "U+2212"),
    ("--participant-label 01,02", "'01,02' is not a label.\n  Fix: separate labels by spaces"),
    ("--participant-label sub-01/ieeg", "put options after BIDS_DIR"),
    ("--participant-label sub-", "'sub-' is not a label"),
    ("--participant-label @none.txt", "The list @none.txt is empty"),
    ("--task-label sto*ry", "--task-label: 'sto*ry' is not a label"),
    ("--space a:b", "--space: 'a:b' is not a label"),
    ("--participant-label", "expected at least one argument"),
    ("--mem 16000", "--mem 16000M or --mem 16000G, or --mem-gb"),
    ("--mem lots", "'lots' is not an amount of memory"),
    ("--mem 16G --mem-gb 16", "not allowed with argument"),
    ("--mem-gb 0", "resources.mem_gb = 0.0 must be above 0"),
    ("--nprocs two", "invalid int value: 'two'"),
    ("--nprocs 0", "resources.nprocs = 0 must be above 0"),
    ("--batch-size -3", "resources.batch_size = -3 must be above 0"),
    ("--random-seed -1", "random_seed = -1 must be 0 or more"),
    ("--reference median", "invalid choice: 'median'"),
    ("--high-gamma hilbert", "invalid choice: 'hilbert'"),
    ("--steps encoding report", "there is no step 'report'.\n  Fix: did you mean reports?"),
    ("--save everything", "invalid choice: 'everything'"),
    ("--language english", "language = english is not known"),
    ("--precision fp16 --device cpu", "processors don't compute in it"),
    ("--device gpu", "resources.device = gpu is not known"),
    ("--models model", "--models: 'model' is not NAME=SOURCE"),
    ("--models =model", "is not NAME=SOURCE"),
    ("--models a/b=model", "is not NAME=SOURCE"),
    ("--models a=model a=model", "--models: a is given twice"),
    ("--models a-b=model ab=model", "would be written as desc-ab, as a-b"),
    ("--models lowlevel=model", "the name of the baseline"),
    ("-d fmriprep", "--derivatives: 'fmriprep' is not NAME=PATH"),
    ("--recipe wisper-ecog", "did you mean whisper-ecog?"),
    ("--config-file typo.toml", "did you mean ieeg.reference?"),
    ("--bids-filter-file bad.json", "is not JSON"),
    ("--bids-filter-file bad-query.json", "unknown query t1w"),
    ("--bids-filter-file bad-entity.json", "Fix: did you mean acquisition?"),
    ("--bids-filter-file bad-value.json", "bold.acquisition must be text"),
    ("--probes mfc", "invalid choice: 'mfc'"),
    ("--probes vectors", "with a file of word vectors (--word-vectors FILE)"),
    ("--probe-data a=features", "with --probes, which says what is probed"),
    ("--probes mfcc --probe-data stimuli=features", "not stimuli"),
    ("--probes mfcc --probe-data features", "'features' is not NAME=PATH"),
    ("--original tuned", "'tuned' is not NAME=NAME"),
    ("--original a=b a=c", "a is given twice"),
    ("--models a=model --original a=b", "two models of --models (a)"),
    ("--recipe brain-tuning --compare sed=1", "did you mean seed?"),
    ("--recipe brain-tuning --compare cnn=frozn,thawed", "did you mean frozen?"),
    ("--recipe brain-tuning --compare seed=1 loss", "'loss' is not SETTING=VALUE,VALUE"),
    ("--compare seed=1", "settings can only be compared where a model is tuned"),
    ("--clean-workdir -w other-work", "is not a work folder of this program"),
]  # fmt: skip


@pytest.mark.usefixtures("place")
@pytest.mark.parametrize(("line", "fragment"), USAGE, ids=[line for line, _ in USAGE])
def test_usage_errors(line: str, fragment: str) -> None:
    with pytest.raises(BrainAlignError) as caught:
        parse(line)
    assert fragment in str(caught.value)
    assert caught.value.exit_code == 64


OTHERS = [
    ("bids out participants", 17, "Unknown analysis level 'participants'"),
    ("participant bids out", 17, "Unknown analysis level 'out'"),
    ("nowhere out participant", 66, "nowhere does not exist"),
    ("a-file out participant", 66, "a-file is not a folder"),
    ("bids bids participant", 73, "is BIDS_DIR"),
    ("bids bids/sub/.. participant", 73, "is BIDS_DIR"),
    ("bids bids/out participant", 73, "derivatives/bids-brainalign"),
    ("bids bids/derivatives participant", 73, "derivatives/bids-brainalign"),
    ("bids a-file participant", 73, "is not a folder"),
    ("bids a-file/out participant", 73, "is not a folder"),
    ("bids out participant -d x=out", 73, "OUTPUT_DIR is the input derivative x"),
    ("bids out participant -w bids/work", 73, "lies inside BIDS_DIR"),
    ("bids out participant -w out", 73, "The work folder is OUTPUT_DIR"),
    ("empty out participant", 16, "dataset_description.json is missing"),
    ("bids out group", 66, "run the participant level first"),
    ("bids out participant -d x=nowhere", 66, "--derivatives x: there is no folder"),
    ("bids out participant --features x=nowhere", 66, "--features x: there is no folder"),
    ("bids out participant --stimuli-map nowhere", 66, "--stimuli-map: there is no file"),
    ("bids out participant --atlas no.nii.gz", 66, "--atlas: there is no file"),
    ("bids out participant --atlas destrieu", 64, "did you mean destrieux?"),
    ("bids out participant --phone-classes no.tsv", 66, "--phone-classes: there is no file"),
    ("bids out participant --behaviour no.tsv", 66, "--behaviour: there is no file"),
    ("bids out participant --targets nowhere.tsv", 66, "--targets: there is no file"),
    ("bids out participant --folds empty", 66, "--folds: there is no file"),
    ("bids out participant --participant-label @nowhere", 66, "The list @nowhere can't be read"),
    ("bids out participant --config-file nowhere", 66, "can't be read"),
    ("bids out participant --bids-filter-file nowhere", 66, "can't be read"),
    ("bids out participant --recipe nowhere.toml", 66, "can't be read"),
    ("bids out participant --models a=nowhere", 66, "there is no folder"),
    ("bids out participant --models a=no-weights", 66, "holds no weights (*.safetensors)"),
    ("bids out participant --models a=no-config", 66, "holds no config.json"),
    ("bids out participant --models a=empty", 66, "it holds: nothing"),
    ("bids out participant --models lab/none", 66, "brainalign fetch lab/none --model-dir DIR"),
    # Checked in this order: usage, level, paths, models.
    ("nowhere out nolevel --zzz", 64, "--zzz"),
    ("nowhere out nolevel --models a=nowhere", 17, "level"),
    ("nowhere out participant --models a=nowhere", 66, "BIDS_DIR"),
]


@pytest.mark.usefixtures("place")
@pytest.mark.parametrize(("line", "code", "fragment"), OTHERS, ids=[o[0] for o in OTHERS])
def test_other_errors(line: str, code: int, fragment: str) -> None:
    with pytest.raises(BrainAlignError) as caught:
        build_config(line.split(" "))
    assert fragment in str(caught.value)
    assert caught.value.exit_code == code


TRAPS = [
    "--participant-label 01 02 bids out participant",
    "--models a=model bids out participant",
    "--compare seed=1,2 bids out participant",
    "-t story bids out participant",
    "bids out --steps encoding participant",
    "--participant_label 01 bids out participant",
]


@pytest.mark.usefixtures("place")
@pytest.mark.parametrize("line", TRAPS)
def test_list_that_swallows_the_positionals(line: str) -> None:
    with pytest.raises(BrainAlignError) as caught:
        build_config(line.split(" "))
    assert "takes every word that follows it" in str(caught.value)
    assert "put options after the three positional arguments" in str(caught.value)
    assert caught.value.exit_code == 64


@pytest.mark.usefixtures("place")
def test_list_may_be_ended() -> None:
    config = build_config("--participant-label 01 02 -- bids out participant".split(" "))
    assert config.selection.participants == ("01", "02")
    assert config.level == "participant"


@pytest.mark.usefixtures("place")
@pytest.mark.parametrize("line", ["", "bids", "bids out", "--dry-run"])
def test_missing_positionals(line: str) -> None:
    with pytest.raises(BrainAlignError, match=r"Missing: .*the analysis level\.") as caught:
        build_config(line.split(" ") if line else [])
    assert caught.value.exit_code == 64


@pytest.mark.parametrize(
    ("line", "key", "expected"),
    [
        ("--participant-label sub-01 02 01", "selection.participants", ("01", "02")),
        ("--participant_label 01", "selection.participants", ("01",)),
        ("--participant-label=sub-01", "selection.participants", ("01",)),
        ("--participant-label @labels.txt 05", "selection.participants",
         ("01", "02", "03", "04", "05")),
        ("--participant-label 01 --participant-label 02", "selection.participants", ("01", "02")),
        ("--session-id ses-a", "selection.sessions", ("a",)),
        ("-t task-x y", "selection.tasks", ("x", "y")),
        ("--task_id x", "selection.tasks", ("x",)),
        ("--run-id run-01", "selection.runs", ("01",)),
        ("--space space-MNI152Lin", "selection.space", "MNI152Lin"),
        ("--bids_filter_file filters.json", "selection.filters",
         (("ieeg", (("acquisition", ("clinical",)), ("run", ("1", "2")))),)),
        ("--steps reports features", "control.steps", ("features", "reports")),
        ("--no-untrained", "features.untrained", False),
        ("--reference none", "ieeg.reference", "none"),
        ("--high_gamma podcast2025", "ieeg.high_gamma", "podcast2025"),
        ("--mem 16G", "resources.mem_gb", 16.0),
        ("--mem 512MB", "resources.mem_gb", 0.5),
        ("--mem 1.5GiB", "resources.mem_gb", 1.5),
        ("--mem-gb 16", "resources.mem_gb", 16.0),
        ("--mem_gb 16", "resources.mem_gb", 16.0),
        *[(f"{name} 3", "resources.nprocs", 3)
          for name in ("--nprocs", "--n-procs", "--n_procs", "--n-cpus", "--n_cpus",
                       "--nthreads")],
        ("--omp-nthreads 2", "resources.omp_nthreads", 2),
        ("--batch-size 4", "resources.batch_size", 4),
        ("--device cpu", "resources.device", "cpu"),
        ("-vv", "control.verbose", 2),
        ("--notrack", "control", Control()),
        ("--dry-run", "control.dry_run", True),
        ("--stop-on-first-crash", "control.stop_on_first_crash", True),
        ("--reports-only", "control.reports_only", True),
        ("--boilerplate-only", "control.boilerplate_only", True),
        ("--clean-workdir", "control.clean_workdir", True),
        ("--skip_bids_validation", "control.skip_bids_validation", True),
        ("--recipe layerwise-fmri", "modalities", ("fmri",)),
        ("--recipe brain-tuning --compare seed=1,2 --compare cnn=thawed", "tuning.compare",
         ("seed=1,2", "cnn=thawed")),
        ("--random-seed 3", "random_seed", 3),
    ],
)  # fmt: skip
@pytest.mark.usefixtures("place")
def test_options_set_their_key(line: str, key: str, expected: object) -> None:
    value: object = parse(line)
    for part in key.split("."):
        value = getattr(value, part)
    assert value == expected


def test_paths_become_absolute(place: Path) -> None:
    line = "-d a=bids/derivatives/fmriprep --models m=model --features f=features"
    config = parse(f"{line} --stimuli-map map.tsv --bids-database-dir db -w w")
    paths = config.paths
    assert (paths.bids_dir, paths.output_dir) == (place / "bids", place / "out")
    assert (paths.work_dir, paths.bids_database_dir) == (place / "w", place / "db")
    assert paths.derivatives == (("a", place / "bids/derivatives/fmriprep"),)
    assert (paths.features, paths.stimuli_map) == ((("f", place / "features"),), place / "map.tsv")
    assert config.features.models == (("m", str(place / "model")),)


def test_defaults(place: Path) -> None:
    config = parse("")
    assert config.paths.work_dir == place / "work"
    assert config.resources.nprocs == available_cpus()
    assert config.recipe is None
    assert config.modalities == ("ieeg", "eeg", "fmri")
    assert config.control == Control()


@pytest.mark.usefixtures("place")
def test_precedence_is_defaults_recipe_file_options(place: Path) -> None:
    (place / "recipe.toml").write_text("random_seed = 5\n[nulls]\nn_draws = 50\n")
    config = parse("--recipe recipe.toml --config-file my.toml --high-gamma filterbank")
    assert config.nulls.n_draws == 50
    assert config.random_seed == 7
    assert config.ieeg.reference == "none"
    assert config.ieeg.high_gamma == "filterbank"
    assert config.recipe == "recipe.toml"


@pytest.mark.usefixtures("place")
def test_file_may_name_the_recipe_and_be_sloppy(place: Path) -> None:
    (place / "r.toml").write_text("recipe = 'whisper-ecog'\nsloppy = true\n[nulls]\nn_draws = 9\n")
    config = parse("--config-file r.toml")
    assert (config.recipe, config.modalities) == ("whisper-ecog", ("ieeg", "eeg"))
    assert config.nulls.n_draws == 9
    assert config.ieeg.n_components == parse("--sloppy").ieeg.n_components
    assert config.ieeg.n_components < parse("").ieeg.n_components
    assert parse("--config-file r.toml --recipe layerwise-fmri").recipe == "layerwise-fmri"


def test_run_can_be_repeated_from_its_configuration(place: Path) -> None:
    (place / "recipe.toml").write_text("[nulls]\nn_draws = 50\n")
    first = parse("--recipe recipe.toml --sloppy --models m=model -t x --nprocs 3 -w w2")
    (place / "recipe.toml").unlink()  # the written configuration is enough
    (place / "config.toml").write_text(dump(first))
    assert parse("--config-file config.toml") == first


@pytest.mark.usefixtures("place")
def test_levels_of_the_execution_specification() -> None:
    assert build_config(["bids", "out", "subject"]).level == "participant"
    Path("out").mkdir()
    assert build_config(["bids", "out", "dataset"]).level == "group"


@pytest.mark.usefixtures("place")
def test_group_needs_only_the_output() -> None:
    Path("out").mkdir()
    config = build_config("empty out group --models a=nowhere".split(" "))
    assert config.level == "group"


@pytest.mark.parametrize("text", ["{", "[]", "\ud800"])
def test_unreadable_description(place: Path, text: str) -> None:
    (place / "bids/dataset_description.json").write_bytes(text.encode("utf-8", "surrogatepass"))
    with pytest.raises(BrainAlignError, match=r"dataset_description\.json") as caught:
        parse("")
    assert caught.value.exit_code == 16


def test_description_that_is_a_pointer(place: Path) -> None:
    path = place / "bids/dataset_description.json"
    path.unlink()
    path.symlink_to(".git/annex/objects/a/b/MD5E-s1--0.json/MD5E-s1--0.json")
    with pytest.raises(BrainAlignError, match=r"datalad get dataset_description\.json") as caught:
        parse("")
    assert caught.value.exit_code == 66


def test_output_of_somebody_else_is_not_overwritten(place: Path) -> None:
    (place / "out").mkdir()
    description = place / "out/dataset_description.json"
    description.write_text('{"GeneratedBy": [{"Name": "fMRIPrep"}]}')
    with pytest.raises(BrainAlignError, match="already holds a dataset of fMRIPrep") as caught:
        parse("")
    assert caught.value.exit_code == 73
    description.write_text('{"Name": "raw"}')
    with pytest.raises(BrainAlignError, match="already holds a dataset of nobody we know"):
        parse("")
    description.write_text('{"GeneratedBy": [{"Name": "bids_brainalign"}]}')
    assert parse("").paths.output_dir == place / "out"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_output_without_permission(place: Path) -> None:
    (place / "closed").mkdir(mode=0o500)
    with pytest.raises(BrainAlignError, match="no permission") as caught:
        build_config(["bids", "closed/out", "participant"])
    assert caught.value.exit_code == 73


@pytest.mark.usefixtures("place")
def test_nothing_is_made_while_parsing(place: Path) -> None:
    before = sorted(place.rglob("*"))
    parse("--models m=model")
    assert sorted(place.rglob("*")) == before


@pytest.mark.parametrize(("count", "device"), [(0, "cuda"), (0, "cuda:0"), (1, "cuda:1")])
@pytest.mark.usefixtures("place")
def test_absent_cuda_is_an_error(count: int, device: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: count > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: count)
    with pytest.raises(BrainAlignError, match=f"sees {count} CUDA devices") as caught:
        parse(f"--device {device}")
    assert caught.value.exit_code == 64


@pytest.mark.usefixtures("place")
def test_present_cuda_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert parse("--device cuda:1").resources.device == "cuda:1"


@pytest.mark.parametrize(
    ("files", "quota"),
    [
        ({"cpu.max": "max 100000\n"}, None),
        ({"cpu.max": "150000 100000\n"}, 1),
        ({"cpu.max": "50000 100000\n"}, 1),
        ({"cpu.max": "99900000 100000\n"}, None),
        ({"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, None),
        ({"cpu/cpu.cfs_quota_us": "100000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 1),
        ({}, None),
    ],
)
def test_available_cpus(tmp_path: Path, files: dict[str, str], quota: int | None) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    mine = len(os.sched_getaffinity(0))
    assert available_cpus(cgroup=tmp_path) == (mine if quota is None else min(mine, quota))


def test_every_option_sets_a_key_that_exists() -> None:
    """A destination is a key of the configuration, or one of those treated by name."""
    import dataclasses

    from bids_brainalign.config.schema import Config

    fields = {f.name for f in dataclasses.fields(Config)}
    by_name = {"help", "version", "bids_dir", "output_dir", "config_file", "mem", "notrack"}
    for action in build_parser()._actions:
        assert isinstance(action, argparse.Action)
        assert action.dest.partition(".")[0] in fields | by_name
        assert action.help


@pytest.mark.usefixtures("place")
def test_the_published_sliding_windows_can_be_asked_for() -> None:
    features = parse("--feature-mode sliding").features
    assert list(features.mode) == ["sliding"]
    assert (features.sliding_window_s, features.causal_stride_s) == (16.1, 0.1)
    short = "--feature-mode sliding --sliding-window 4 --causal-stride 0.25"
    features = parse(short).features
    assert (features.sliding_window_s, features.causal_stride_s) == (4.0, 0.25)
