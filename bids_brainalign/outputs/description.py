"""dataset_description.json and the other files at the top of output_dir."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from bids_brainalign import __version__
from bids_brainalign.outputs.tables import format_table
from bids_brainalign.store.atomic import write_json, write_text

BIDS_VERSION = "1.10.1"
IGNORED = (
    # No entry may end in a slash: bids-validator-deno 3.0.2 then still reports the folder.
    "*.html",
    "figures",
    "group",
    "work",
    "*_scores.tsv",
    "*_scores.json",
    "*_folds.tsv",
    "*_folds.json",
    "*_nulls.tsv",
    "*_nulls.json",
    "*_encoders.tsv",
    "*_encoders.json",
    "*_attention.tsv",
    "*_attention.json",
    "*_lags.tsv",
    "*_lags.json",
    "*_peaks.tsv",
    "*_peaks.json",
    "*_checks.tsv",
    "*_checks.json",
    "*_onsetattention.tsv",
    "*_onsetattention.json",
    "*_timescale.tsv",
    "*_timescale.json",
    "*_lagslopes.tsv",
    "*_lagslopes.json",
    "*_locked.tsv",
    "*_references.tsv",
    "*_references.json",
    "*_locked.json",
    "*_phonemes.tsv",
    "*_phonemes.json",
    "*_coherence.tsv",
    "*_coherence.json",
    "*_combined.tsv",
    "*_combined.json",
    "*_variance.tsv",
    "*_variance.json",
    "*_ceilings.tsv",
    "*_ceilings.json",
    "*_histogram.tsv",
    "*_histogram.json",
    "*_isc.tsv",
    "*_isc.json",
    "*_decoding.tsv",
    "*_decoding.json",
    "*_transcription.tsv",
    "*_transcription.json",
    "*_contrast.tsv",
    "*_contrast.json",
    "*_tuning.tsv",
    "*_tuning.json",
    "*_stability.tsv",
    "*_stability.json",
    "*_transfer.tsv",
    "*_transfer.json",
    "*_words.tsv",
    "*_words.json",
    "*_reconstruction.tsv",
    "*_reconstruction.json",
    "*_channelscores.tsv",
    "*_channelscores.json",
    "*_wordpredictions.h5",
    "*_wordscores.tsv",
    "*_wordscores.json",
    "*_r2bins.tsv",
    "*_r2bins.json",
    "*_plainpredictors.tsv",
    "*_plainpredictors.json",
    "*_penalties.tsv",
    "*_penalties.json",
    "*_timecourse.tsv",
    "*_timecourse.json",
    "*_regions.tsv",
    "*_regions.json",
    "*_geometry.tsv",
    "*_geometry.json",
    "*_synchrony.tsv",
    "*_synchrony.json",
    "*_contamination.tsv",
    "*_contamination.json",
    "models",
    "*_similarity.tsv",
    "*_similarity.json",
    "*_predictions.h5",
    "*_weights.h5",
    "*_statmap.nii.gz",
    "*_statmap.func.gii",
    "*_statmap.dscalar.nii",
    "*_statmap.h5",
    "*_statmap.json",
)
README = """\
# Speech-model alignment of this dataset

Written by bids_brainalign {version}. Open `index.html` first.

- `sub-*.html`, `group.html`: reports.
- `sub-*/**/*_scores.tsv`: encoding scores, one row per target, model and layer; the columns are
  explained in the JSON file beside it. Take answers from rows with `layer` = `selected` and
  `fold` = `all`; take layer curves from the rows with a layer number.
- `*_channels.tsv` (iEEG, EEG), `*_statmap.*` (fMRI): results per electrode, and per voxel or
  vertex in the kind of file that the responses came in (NIfTI, GIFTI per hemisphere, CIFTI, or an
  HDF5 vector in the order of the source's columns).
- `stat-r` (all layers), `stat-q`, `stat-qDelta`, `stat-sig` (1 where significant), `stat-layer`
  and `stat-com` (preferred layer and centre of mass of the layer curve, only where a preference
  can be claimed): each map's JSON file says what it shows.
- `*_desc-silence_contrast.tsv`, `*_desc-sound_lags.tsv` (iEEG, EEG): speech against silence
  per channel; whether the clocks of sound and recording drift apart.
- `*_folds.tsv`, `*_nulls.tsv`, `*_predictions.h5`, `*_weights.h5`: cross-validation folds, null
  quantiles, held-out predictions, weights per delay (with `--save weights`).
- `*_lags.tsv`, `*_lagslopes.tsv` (iEEG, EEG): prediction from features at one lag at a time,
  and whether the best lag grows with the layer.
- `*_variance.tsv`: variance explained by the model and by low-level features alone, and
  shared; `desc-<A>And<B>`: of two models.
- `*_desc-repeats_ceilings.tsv`, `_histogram.tsv` (where a held-out stimulus was repeated): noise
  ceilings with intervals and tests; for fMRI also `stat-ceiling` and `stat-rNorm` maps.
- `*_combined.tsv` (iEEG, EEG): the best layers together against the best one.
- `*_decoding.tsv` (with `--decode`): how well held-out speech is identified from the electrodes.
- `*_transcription.tsv` (with `--transcribe`): what Whisper's decoder writes down from predicted
  encoder states, beside what it writes from other windows, the mean state and the true states.
- `*_tuning.tsv`, `stat-rDelta` (with `[tuning]`): a model tuned on these responses against its
  original, its controls and (with `--compare`) other settings, on test stories;
  `*_stability.tsv`: the gain over seeds; `sub-*/models/`: weights, log and card of every model;
  `group/models/`: of those tuned on several participants.
- `*_transfer.tsv` (with `--transfer`): the models tuned on other participants, scored on this one.
- `group/*_tuning.tsv`, `group/*_transfer.tsv`: gains over participants; the matrix of participants
  tuned on and scored on.
- `*_similarity.tsv` (with `--similarity`): likeness of layers and responses, by CKA and RSA; in
  `group/` of layers and layers.
- `group/*_probes.tsv` (with `--probes`): what linear probes read from each layer of a model;
  `group/desc-<A>And<B>_changes.tsv`: a tuned model A against its original B. See `models.html`.
- `*_phonemes.tsv`, `*_coherence.tsv` (iEEG): responses to phones and classes of phones, clusters
  of electrodes, and their anatomical order.
- `*_reconstruction.tsv` (`--recipe speech-production`): how well responses to spoken words are
  rebuilt from an embedding, never without the mean over the training words beside it; its JSON
  file says whether there is evidence, and why. Beside it: `_words.tsv` (words and onsets),
  `_wordscores.tsv`, `_channelscores.tsv`, `_r2bins.tsv`, `_plainpredictors.tsv`, `_penalties.tsv`,
  `*_wordpredictions.h5` (responses to held-out words, measured and rebuilt), `_timecourse.tsv`
  (layer × lag), `*_peaks.tsv` (when each layer predicts best), `_regions.tsv`, `_geometry.tsv`
  (likeness of embedding and responses), `_synchrony.tsv` and `_contamination.tsv` (sound against
  responses).
- `group/`: tables over participants; `desc-phones_behaviour.tsv` with `--behaviour`.
- `logs/`: configuration, versions, commands, crash files, and how to cite (`CITATION.md`).
"""


def write_dataset_description(output_dir: Path, bids_dir: Path) -> list[Path]:
    """Write what makes output_dir a BIDS derivative dataset."""
    source = json.loads((bids_dir / "dataset_description.json").read_text("utf-8-sig"))
    description: dict[str, object] = {
        "Name": f"bids_brainalign of {source.get('Name', 'a BIDS dataset')}",
        "BIDSVersion": BIDS_VERSION,
        "DatasetType": "derivative",
        "GeneratedBy": [_generated_by()],
    }
    if source.get("License"):
        description["License"] = source["License"]
    if source.get("DatasetDOI"):
        description["SourceDatasets"] = [{"DOI": source["DatasetDOI"]}]
    output_dir.mkdir(parents=True, exist_ok=True)
    paths = [output_dir / n for n in ("dataset_description.json", "README.md", ".bidsignore")]
    write_json(paths[0], description)
    write_text(paths[1], README.format(version=__version__))
    write_text(paths[2], "\n".join(IGNORED) + "\n")
    return paths


def _generated_by() -> dict[str, object]:
    entry: dict[str, object] = {
        "Name": "bids_brainalign",
        "Version": __version__,
        "Description": "Speech and language models aligned with brain recordings",
    }
    tag = os.environ.get("BRAINALIGN_CONTAINER_TAG")
    if tag:  # set in the Dockerfile
        entry["Container"] = {"Type": "docker", "Tag": tag}
    return entry


def write_descriptions(output_dir: Path, labels: Mapping[str, str]) -> Path:
    """Explain every ``desc-`` label in descriptions.tsv, keeping those of earlier runs.

    Parameters
    ----------
    output_dir : Path
    labels : mapping
        Label (without ``desc-``) → description.
    """
    path = output_dir / "descriptions.tsv"
    known: dict[str, str] = {}
    if path.is_file():
        table = pd.read_csv(path, sep="\t", keep_default_na=False)
        known = dict(zip(table["desc_id"], table["description"], strict=True))
    known |= {f"desc-{label}": text for label, text in labels.items()}
    rows: Sequence[tuple[str, str]] = sorted(known.items())
    write_text(path, format_table(pd.DataFrame(rows, columns=["desc_id", "description"])))
    return path
