"""From a BIDS dataset to tables, maps and pages, as a user runs it."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from bids_brainalign.simulate.recovery import passed, recover
from tests.cli.simulated import run, simulate

pytestmark = pytest.mark.cli


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("cli")


@pytest.fixture(scope="module")
def planted(folder):
    return simulate(folder)


@pytest.fixture(scope="module")
def outputs(planted, folder):
    """Participant and group level, run once."""
    out = folder / "out"
    first = run(planted.bids, out, "participant", "--models", planted.model, cwd=folder)
    assert first.returncode == 0, first.stderr[-3000:]
    second = run(planted.bids, out, "group", cwd=folder)
    assert second.returncode == 0, second.stderr[-3000:]
    return out, first, second


def scores(out, analysis="small"):
    tables = [
        pd.read_csv(p, sep="\t", na_values="n/a", dtype={"layer": str, "fold": str})
        for p in sorted(out.glob(f"sub-*/**/*_desc-{analysis}_scores.tsv"))
    ]
    return pd.concat(tables, ignore_index=True)


def find_validator():
    """Beside this Python, where `make` puts it, or on PATH."""
    beside = Path(sys.executable).with_name("bids-validator-deno")
    found = str(beside) if beside.is_file() else shutil.which("bids-validator-deno")
    return found or pytest.skip("validator: bids-validator-deno is not installed")


def closing(text):
    return [line for line in text.splitlines() if line.startswith("done: ")][-1]


def test_planted_answer_is_found_in_both_modalities(planted, outputs):
    results = recover(planted.truth, outputs[0])
    assert {r.group.modality for r in results} == {"ieeg", "fmri"}
    assert all(passed(results, one) is not False for one in results)
    chosen = scores(outputs[0])
    chosen = chosen[(chosen.layer == "selected") & (chosen.fold == "all")].set_index("target")
    for group in planted.truth.groups:
        if group.modality == "ieeg" and group.source == "layer":
            rows = chosen.loc[list(group.targets)]
            assert (rows.q_delta < 0.05).mean() > 0.8
            assert (rows.layer_mode.astype(int) == group.layer).mean() > 0.8
        if group.modality == "ieeg" and group.source == "none":
            assert (chosen.loc[list(group.targets)].q_delta < 0.05).mean() < 0.2


def test_outputs_are_the_golden_list(outputs):
    out = outputs[0]
    found = {
        str(p.relative_to(out))
        for p in out.rglob("*")
        if p.is_file() and "logs" not in p.parts and "figures" not in p.parts
    }
    expected = (Path(__file__).parent / "golden_outputs.txt").read_text().split()
    assert found == set(expected)


def test_last_lines_tell_what_was_done(outputs):
    _, first, second = outputs
    done = closing(first.stdout + first.stderr)
    assert "failed: 0" in done
    assert "done: 0" not in done
    assert "index.html" in first.stdout + first.stderr
    assert "failed: 0" in closing(second.stdout + second.stderr)


def test_second_run_has_nothing_to_do(planted, outputs, folder):
    again = run(planted.bids, outputs[0], "participant", "--models", planted.model, cwd=folder)
    assert again.returncode == 0
    assert closing(again.stdout + again.stderr).startswith("done: 0 ")


def test_deleting_one_output_redoes_that_step_only(planted, outputs, folder):
    out = outputs[0]
    table = next(out.glob("sub-02/func/*_desc-small_scores.tsv"))
    before = table.read_bytes()
    table.unlink()
    again = run(planted.bids, out, "participant", "--models", planted.model, cwd=folder)
    assert closing(again.stdout + again.stderr).startswith("done: 1 ")
    assert table.read_bytes() == before


@pytest.mark.validator
def test_outputs_are_valid_bids(outputs):
    validator = find_validator()
    done = subprocess.run(
        [validator, str(outputs[0]), "--format", "json"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    issues = json.loads(done.stdout)["issues"]["issues"]
    errors = [i for i in issues if i.get("severity") == "error"]
    assert done.returncode == 0, errors


@pytest.mark.validator
def test_simulated_dataset_is_valid_bids(planted):
    validator = find_validator()
    done = subprocess.run([validator, str(planted.bids)], capture_output=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:]


def test_no_paths_times_or_hosts_in_outputs(outputs, folder):
    out = outputs[0]
    for path in out.rglob("*"):
        if path.suffix in {".json", ".tsv", ".html", ".md", ".svg"} and "logs" not in path.parts:
            text = path.read_text(encoding="utf-8")
            assert str(folder) not in text, path
            assert "<script src=" not in text, path


def test_logs_are_enough_to_run_again(planted, outputs, folder):
    out = outputs[0]
    runs = sorted((out / "logs").glob("*/config.toml"))
    assert runs
    again = run(
        planted.bids, folder / "again", "participant", "--config-file", runs[0],
        "--participant-label", "01", "--dry-run", cwd=folder,
    )  # fmt: skip
    assert again.returncode == 0, again.stderr
    assert (out / "logs" / "CITATION.md").is_file()
    assert (out / "logs" / "status.tsv").is_file()


def test_null_twin_gives_no_discovery(folder, planted):
    twin = simulate(folder, null=True)
    out = folder / "null-out"
    done = run(twin.bids, out, "participant", "--models", planted.model, cwd=folder)
    assert done.returncode == 0, done.stderr[-3000:]
    table = scores(out)
    chosen = table[(table.layer == "selected") & (table.fold == "all")]
    # q < .05 somewhere is what one null dataset in twenty shows by definition; q < .01 is not.
    assert not (chosen.q_fdr < 0.01).any()
    assert not (chosen.q_delta < 0.01).any()
    assert (chosen.p < 0.05).mean() < 0.2
    assert chosen.r.abs().mean() < 0.06


def test_group_names_who_is_missing(planted, outputs, folder):
    out = folder / "partial"
    shutil.copytree(outputs[0], out)
    shutil.rmtree(out / "sub-02")
    done = run(planted.bids, out, "group", "-w", folder / "work-partial", cwd=folder)
    assert done.returncode == 0
    assert "02" in done.stdout + done.stderr


def test_own_features_and_targets(planted, folder):
    """A user's features that are the planted layer itself win over the low-level baseline."""
    import h5py
    import soundfile

    from bids_brainalign.features.whisper import WhisperLayers

    own = folder / "own"
    own.mkdir()
    encoder = WhisperLayers(folder / "model")
    for path in sorted((planted.bids / "stimuli").glob("*.wav")):
        wave, _ = soundfile.read(path, dtype="float32")
        found = encoder.extract(wave)
        with h5py.File(own / f"{path.stem}.h5", "w") as file:
            file["data"], file["times"] = found.layers[3], found.times
    group = next(g for g in planted.truth.groups if g.modality == "ieeg" and g.layer == 3)
    chosen_file = folder / "targets.tsv"
    chosen_file.write_text("\n".join(["name", *group.targets]) + "\n")
    done = run(
        planted.bids, folder / "own-out", "participant", "--participant-label", "01",
        "--features", f"mine={own}", "--targets", chosen_file, "--save", "weights",
        "--language", "en-GB", cwd=folder,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    assert any((folder / "own-out").rglob("*_desc-mine_weights.h5"))
    table = scores(folder / "own-out", "mine")
    chosen = table[(table.layer == "selected") & (table.fold == "all")].set_index("target")
    assert set(chosen.index) == set(group.targets)
    assert (chosen.loc[list(group.targets)].q_delta < 0.05).all()
