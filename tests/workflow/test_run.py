"""Emptying the work folder keeps what this run itself needs."""

from bids_brainalign.config.schema import DOWNLOADS
from bids_brainalign.workflow.run import _clean


def test_downloaded_models_outlive_a_cleaned_work_folder(tmp_path):
    (tmp_path / DOWNLOADS / "openai--whisper-base").mkdir(parents=True)
    (tmp_path / "responses").mkdir()
    (tmp_path / "responses" / "old.h5").touch()
    elsewhere = tmp_path.parent / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "kept").touch()
    (tmp_path / "link").symlink_to(elsewhere)
    _clean(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [DOWNLOADS]
    assert (tmp_path / DOWNLOADS / "openai--whisper-base").is_dir()
    assert (elsewhere / "kept").exists()
