import dataclasses
import re
from pathlib import Path

import pytest

from bids_brainalign.config.production import Production, choices, ranges
from bids_brainalign.config.recipes import SLOPPY, list_recipes, load_recipe, recipe_text
from bids_brainalign.config.schema import Config, Paths, Ridge, Selection
from bids_brainalign.config.toml import dump, loads, merge, parse_overlay, read_overlay
from bids_brainalign.errors import BrainAlignError, ExitCode

FOLDERS = {name: Path(f"/{name}") for name in ("bids_dir", "output_dir", "work_dir")}
PLACES = {"level": "participant", "paths": FOLDERS}


def overlay(text: str) -> dict:
    return parse_overlay(text, source="my.toml", folder=Path("/folder"))


def test_whole_configuration_survives_the_round_trip() -> None:
    paths = Paths(
        Path("/data/bids"), Path("/out"), Path("/wörk dir"),
        derivatives=(("fmriprep", Path("/prep")), ("other.one", Path("/o"))),
        folds=Path("/folds.tsv"),
    )  # fmt: skip
    selection = Selection(
        participants=("01", "0 2"),
        space="MNI152NLin2009cAsym",
        filters=(("ieeg", (("acquisition", ("clinical", "2")),)), ("bold", ())),
    )
    config = Config("group", paths, recipe="whisper-ecog", selection=selection, sloppy=True)
    config = dataclasses.replace(config, ridge=Ridge(alphas=(1e-3, 0.1 + 0.2, 1e30)))
    assert loads(dump(config)) == config


def test_defaults_survive_the_round_trip() -> None:
    config = merge(PLACES)
    assert config == Config("participant", Paths(**FOLDERS))
    assert loads(dump(config)) == config


def test_later_overlays_win_key_by_key() -> None:
    first = overlay("[ieeg]\nlag_min_s = -0.2\nlag_max_s = 1\n[selection]\ntasks = ['a', 'b']")
    second = overlay("[ieeg]\nlag_max_s = 0.8\n[selection]\ntasks = ['c']")
    config = merge(PLACES, first, second)
    assert (config.ieeg.lag_min_s, config.ieeg.lag_max_s) == (-0.2, 0.8)
    assert config.ieeg.lag_step_s == Config("participant", config.paths).ieeg.lag_step_s
    assert config.selection.tasks == ("c",)


def test_relative_paths_are_relative_to_the_file(tmp_path: Path) -> None:
    (tmp_path / "my.toml").write_text("[paths]\nfolds = 'sub/folds.tsv'\nwork_dir = '/w'\n")
    found = read_overlay(tmp_path / "my.toml")
    assert found["paths"] == {"folds": tmp_path / "sub/folds.tsv", "work_dir": Path("/w")}


@pytest.mark.parametrize(
    ("text", "fragment"),
    [
        ("[ridg]\n", "Unknown table or key ridg in my.toml.\n  Fix: did you mean ridge?"),
        ("[ridge]\nalpha = [1]", "ridge.alpha in my.toml.\n  Fix: did you mean ridge.alphas?"),
        ("[ridge]\nn_draws = 5", "did you mean nulls.n_draws?"),
        ("[fmri]\nqqqqqqqqqqqqqqqq = 5", "there are: fmri.confounds, fmri.delay_max_s"),
        ("lag_max_s = 1", "did you mean ieeg.lag_max_s?"),
        ("random_seed = 1.5", "random_seed in my.toml must be a whole number, not 1.5"),
        ("random_seed = true", "must be a whole number, not True"),
        ("sloppy = 1", "must be true or false, not 1"),
        ("[ieeg]\nlag_max_s = '0.6'", "ieeg.lag_max_s in my.toml must be a number, not '0.6'"),
        ("[ridge]\nalphas = 1", "must be a list of numbers, not 1"),
        ("[ridge]\nalphas = [1, 'x']", "ridge.alphas[1] in my.toml must be a number, not 'x'"),
        ("[selection]\ntasks = 'story'", "must be a list of texts, not 'story'"),
        ("[paths]\nderivatives = ['a=b']", "must be a table, not ['a=b']"),
        ("[paths.derivatives]\na = 3", "paths.derivatives.a in my.toml must be a path, not 3"),
        ("[paths]\nfolds = ''", "must be a path, not ''"),
        ("ridge = 3", "must be a table, not 3"),
        ("level = ", "my.toml is not TOML"),
    ],
)  # fmt: skip
def test_mistakes_are_named(text: str, fragment: str) -> None:
    with pytest.raises(BrainAlignError) as caught:
        overlay(text)
    assert fragment in str(caught.value)
    assert caught.value.exit_code == ExitCode.USAGE


def test_numbers_may_be_written_without_a_point() -> None:
    config = merge(PLACES, overlay("[ieeg]\nlag_max_s = 1\n[ridge]\nalphas = [1, 10]"))
    assert config.ieeg.lag_max_s == 1.0
    assert isinstance(config.ieeg.lag_max_s, float)
    assert config.ridge.alphas == (1.0, 10.0)


def test_absent_file(tmp_path: Path) -> None:
    with pytest.raises(BrainAlignError, match="can't be read") as caught:
        read_overlay(tmp_path / "none.toml")
    assert caught.value.exit_code == ExitCode.MISSING_INPUT


def test_sloppy_touches_existing_keys_only() -> None:
    assert merge(PLACES, SLOPPY).nulls.n_draws < Config("group", merge(PLACES).paths).nulls.n_draws


DEAR: dict[str, dict[str, tuple[str, ...]]] = {
    "whisper-ecog": {
        "ieeg": ("compare_reference",),
        "ridge": ("top_layers",),
        "timescale": ("jitter_s",),
        "lags": ("modes", "step_s", "word_step_s"),
        "decoding": ("decoders",),
    },
    "layerwise-fmri": {"features": ("lowlevel",)},
}
"""Settings of a recipe that would make a run without --recipe too slow, or that need phones to say
more than the usual ones."""


@pytest.mark.parametrize("name", ["layerwise-fmri", "whisper-ecog"])
def test_recipes_are_the_defaults_of_their_data(name: str) -> None:
    """Without --recipe the data choose: the settings must be the same ones."""
    config = merge(PLACES, load_recipe(name))
    expected = dataclasses.replace(
        merge(PLACES),
        encoders=config.encoders,
        recipe=name,
        modalities=("ieeg", "eeg") if "ecog" in name else ("fmri",),
    )
    for table, keys in DEAR.get(name, {}).items():
        given = {key: getattr(getattr(config, table), key) for key in keys}
        usual = getattr(expected, table)
        assert all(getattr(usual, key) != value for key, value in given.items())
        expected = dataclasses.replace(expected, **{table: dataclasses.replace(usual, **given)})
    assert config == expected


def test_recipes_that_are_shipped() -> None:
    assert list_recipes() == (
        "brain-tuning",
        "brainwavlm",
        "layerwise-fmri",
        "speech-production",
        "whisper-ecog",
    )


@pytest.mark.parametrize("name", ["brain-tuning", "brainwavlm"])
def test_every_number_of_tuning_has_its_source(name: str) -> None:
    config = merge(PLACES, load_recipe(name))
    assert config.tuning.variants == ("tuned", "permuted")
    *_, before = [""]
    for line in recipe_text(name).splitlines():
        if "=" in line and not line.startswith(("#", "[")):
            said = line.partition("#")[2] or before
            plain = line.startswith(("input", "modalities", "test_stories", "validation_stories"))
            assert plain or re.search(r"\b(paper|code|ours)\b", said), line
        before = line


def test_speech_production_is_the_usual_settings_switched_on() -> None:
    config = merge(PLACES, load_recipe("speech-production"))
    assert config.production == dataclasses.replace(Production(), run=True)
    assert config.modalities == ("ieeg",)
    assert config.ieeg.high_gamma == "dutch2022"
    shown = load_recipe("speech-production")["production"]
    assert isinstance(shown, dict)
    assert set(shown) == {field.name for field in dataclasses.fields(Production)}


@pytest.mark.parametrize("text", ["README.md", "docs/production.md"])
def test_settings_of_speech_production_in_the_documents_are_valid(text: str) -> None:
    document = (Path(__file__).parents[2] / text).read_text("utf-8")
    blocks = re.findall(r"^```toml\n(\[production\].*?)^```", document, re.MULTILINE | re.DOTALL)
    assert blocks
    for block in blocks:
        told = parse_overlay(block, source=text, folder=Path())
        production = merge(PLACES, load_recipe("speech-production"), told).production
        assert all(value in known for _, value, known in choices(production))
        assert all(holds for *_, holds in ranges(production))


def test_recipe_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text("[nulls]\nn_draws = 100\n")
    assert load_recipe(str(tmp_path / "mine.toml"))["nulls"] == {"n_draws": 100}


@pytest.mark.parametrize(
    ("name", "fragment", "code"),
    [
        ("wisper-ecog", "did you mean whisper-ecog?", ExitCode.USAGE),
        (
            "xyz",
            "there are: brain-tuning, brainwavlm, layerwise-fmri, speech-production, whisper-ecog",
            ExitCode.USAGE,
        ),
        ("no/such.toml", "can't be read", ExitCode.MISSING_INPUT),
    ],
)
def test_unknown_recipe(name: str, fragment: str, code: int) -> None:
    with pytest.raises(BrainAlignError) as caught:
        load_recipe(name)
    assert fragment in str(caught.value)
    assert caught.value.exit_code == code
