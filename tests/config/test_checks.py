import dataclasses
from pathlib import Path

import pytest

from bids_brainalign.config.checks import check_level, check_values
from bids_brainalign.config.schema import Config, Paths
from bids_brainalign.config.toml import merge
from bids_brainalign.errors import BrainAlignError, ExitCode

CONFIG = Config("participant", Paths(Path("/b"), Path("/o"), Path("/w")))


def changed(**tables: dict) -> Config:
    values = {
        name: dataclasses.asdict(getattr(CONFIG, name)) | new for name, new in tables.items()
    }
    return merge({"level": "participant", "paths": dataclasses.asdict(CONFIG.paths)}, values)


def test_defaults_are_accepted() -> None:
    check_values(CONFIG)
    check_level(CONFIG.level)


@pytest.mark.parametrize(
    ("tables", "fragment"),
    [
        ({"ieeg": {"reference": "median"}}, "ieeg.reference = median is not known"),
        ({"ieeg": {"band_hz": (150.0, 70.0)}}, "must be two rising frequencies in Hz"),
        ({"ieeg": {"band_hz": (70.0,)}}, "must be two rising frequencies in Hz"),
        ({"ieeg": {"high_gamma": "filterbanks"}}, "did you mean filterbank?"),
        ({"ieeg": {"lag_max_s": -0.1}}, "must be above ieeg.lag_min_s (-0.1)"),
        ({"fmri": {"delay_min_s": 10.0}}, "must be at least fmri.delay_min_s (10)"),
        ({"features": {"hop_s": 19.0}}, "must be at most 30 s less 2 margin_s and blend_s (18)"),
        (
            {"features": {"waveform_margin_s": 5.0}},
            "20 s less 2 waveform_margin_s",
        ),
        ({"resources": {"precision": "fp8"}}, "resources.precision = fp8 is not known"),
        ({"ridge": {"alphas": ()}}, "at least one number"),
        ({"ridge": {"scoring": "fp16"}}, "ridge.scoring = fp16 is not known"),
        ({"ridge": {"alphas": (1.0, 0.0)}}, "ridge.alphas[1] = 0.0 must be above 0"),
        ({"ridge": {"fixed_alpha": float("nan")}}, "must be above 0"),
        ({"ridge": {"band_weights": (1.5,)}}, "between 0 and 1"),
        ({"nulls": {"n_draws": 0}}, "nulls.n_draws = 0 must be above 0"),
        ({"tuning": {"learning_rate": float("inf")}}, "must be 0 or more"),
        ({"tuning": {"clip_s": float("inf")}}, "must be above 0"),
        ({"tuning": {"transfer": True}}, "where a model is tuned"),
        ({"resources": {"device": "gpu"}}, "resources.device = gpu is not known"),
        ({"resources": {"device": "cuda:x"}}, "auto, cpu, cuda or cuda:0"),
        ({"resources": {"mem_gb": 0.0}}, "must be above 0"),
        ({"control": {"steps": ("encodings",)}}, "did you mean encoding?"),
        ({"features": {"models": (("a/b", "x"),)}}, "NAME = a/b must be letters"),
        ({"features": {"models": (("..", "x"),)}}, "NAME = .. must be letters"),
        ({"features": {"models": (("low-level", "x"),)}}, "the name of the baseline"),
        ({"features": {"models": (("sound", "x"),)}}, "sound, a table about the recordings"),
        ({"eeg": {"lag_max_s": 0.1}, "decoding": {"lag_max_s": 0.4}}, "span of the lags of encod"),
        ({"features": {"models": (("a-b", "x"), ("ab", "x"))}}, "desc-ab, as a-b"),
        ({"features": {"models": (("ab", "x"), ("abUntrained", "x"))}}, "untrained twin of ab"),
        ({"decoding": {"decoders": ("rigde",)}}, "did you mean ridge?"),
        ({"decoding": {"decoders": ("gru",)}}, "with ridge, which chooses the layer for it"),
        ({"decoding": {"transcribe": True}}, "must be with --decode ridge"),
        ({"decoding": {"unit": "phrase"}}, "decoding.unit = phrase is not known"),
        ({"decoding": {"lag_max_s": 0.9}}, "at most lag_min_s plus the span of the lags"),
        ({"decoding": {"lag_min_s": 0.5}}, "must be at least decoding.lag_min_s (0.5)"),
        ({"decoding": {"segment_s": 0.05}}, "at least one step_s (0.1)"),
        ({"decoding": {"transcribe_windows": 0}}, "must be above 0"),
        (
            {"features": {"models": (("ab", "x"),)}, "paths": {"features": (("a.b", Path("/")),)}},
            "desc-ab, as ab",
        ),
    ],
)
def test_values_no_run_can_use(tables: dict, fragment: str) -> None:
    with pytest.raises(BrainAlignError) as caught:
        check_values(changed(**tables))
    assert fragment in str(caught.value)
    assert caught.value.exit_code == ExitCode.USAGE
