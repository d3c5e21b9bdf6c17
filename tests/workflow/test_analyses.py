"""Steps of one fit: what follows an encoding that failed, and what their sidecars say."""

import json
from dataclasses import replace

from bids_brainalign.config.schema import Decoding, Paths
from bids_brainalign.outputs.reading import SETTINGS
from bids_brainalign.workflow.analyses import analysis_steps
from bids_brainalign.workflow.extraction import missing_features
from bids_brainalign.workflow.lags import scores_path
from tests.workflow.planted import make_fit


def test_scores_of_an_earlier_run_are_not_built_on(tmp_path):
    planted = make_fit(tmp_path, "ieeg", seconds=(40.0, 40.0), n_targets=4)
    config = replace(
        planted.config,
        encoders=("ridge", "gru"),
        decoding=Decoding(("ridge",)),
        ridge=replace(planted.config.ridge, partition_models=True),
    )
    for space in planted.spaces:
        name = planted.fit.name.file("scores.tsv", analysis=space.name)
        path = config.paths.output_dir / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("target\n")
        assert scores_path(config, planted.fit, space) == path
    succeeded: set[str] = set()
    names = []
    for step in analysis_steps(config, planted.fit, planted.spaces, succeeded):
        names.append(step.name.split()[0])
        if not step.name.startswith("encoding"):
            succeeded.add(step.name)
    assert names.count("encoding") == 2
    assert not {"lags", "combined", "decoding", "encoders", "attention", "variance"} & set(names)


def test_stimuli_without_features_are_named(tmp_path):
    planted = make_fit(tmp_path, "ieeg", seconds=(30.0, 30.0), n_targets=2)
    assert missing_features(planted.config, planted.fit, planted.spaces) == []
    paths = planted.config.paths
    elsewhere = Paths(paths.bids_dir, paths.output_dir, tmp_path / "new", features=paths.features)
    missing = missing_features(
        replace(planted.config, paths=elsewhere), planted.fit, planted.spaces
    )
    assert "story0 (own)" in missing
    assert len(missing) == 2 * len(planted.spaces)


def test_sidecars_say_which_settings_they_belong_to(tmp_path):
    planted = make_fit(tmp_path, "ieeg", seconds=(40.0, 40.0), n_targets=4)

    def found(config):
        succeeded = set()
        settings = {}
        for step in analysis_steps(config, planted.fit, planted.spaces, succeeded):
            sidecars = [p for p in step.work() if p.suffix == ".json"]
            succeeded.add(step.name)
            for path in sidecars:
                settings[path.name] = json.loads(path.read_text()).get(SETTINGS)
        return settings

    first, again = found(planted.config), found(planted.config)
    assert first == again
    other = found(replace(planted.config, ridge=replace(planted.config.ridge, alphas=(1.0, 10.0))))
    scores = next(name for name in first if name.endswith("own_scores.json"))
    lags = next(name for name in first if name.endswith("own_lags.json"))
    assert first[scores] == first[lags] is not None
    assert other[scores] == other[lags] != first[scores]
    # Responses around onsets depend on neither folds nor penalties.
    assert first[next(name for name in first if name.endswith("locked.json"))] is None
