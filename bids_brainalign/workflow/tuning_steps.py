"""Steps of brain-tuning: train, extract, encode, compare."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace

from bids_brainalign.alignment.hrf import FIR
from bids_brainalign.config.schema import Config
from bids_brainalign.config.variants import TOGETHER, TUNED, Variant, variants_of
from bids_brainalign.errors import BrainAlignError, ExitCode
from bids_brainalign.outputs.tuned_models import models_folder
from bids_brainalign.store.steps import Step
from bids_brainalign.workflow.encoding import encoding_step
from bids_brainalign.workflow.extraction import feature_steps, stimuli_of
from bids_brainalign.workflow.fits import Fit
from bids_brainalign.workflow.spaces import Space
from bids_brainalign.workflow.tuned_facts import space_of_folder
from bids_brainalign.workflow.tuning_comparison import comparison_step
from bids_brainalign.workflow.tuning_stability import seeds_of, stability_step


def tuning_steps(
    config: Config, fit: Fit, spaces: Sequence[Space], succeeded: Collection[str]
) -> Iterator[Step]:
    """Give the steps of every training, and what they tell beside each other.

    The tuned model is held against its original, its controls and all compared settings; each of
    these settings against the original.

    Parameters
    ----------
    config : Config
    fit : Fit
    spaces : sequence of Space
        Of the run, without tuned models: folds depend on these.
    succeeded : collection of str
        Names of steps that did not fail, those before this participant's among them.
    """
    variants = variants_of(config.tuning)
    if not variants:
        return
    from bids_brainalign.workflow.tuning import forget_training, tuned_name, tuning_step
    from bids_brainalign.workflow.tuning_together import together_name

    space = tuned_space(config, spaces)
    found: dict[Variant, Space] = {}
    for variant in variants:
        name = tuned_name(space, variant)
        if variant.kind == TOGETHER:  # trained before, on all participants
            if together_name(space, variant, fit.name) not in succeeded:
                continue
        else:
            step = tuning_step(config, fit, space, spaces, variant)
            yield step
            if step.name not in succeeded:
                continue
            forget_training(config, step)
        folder = models_folder(config.paths.output_dir, fit.name, name)
        model = space_of_folder(config, space, folder, name)
        extraction = feature_steps(config, model, stimuli_of(config, [fit]))
        yield from extraction
        if all(part.name in succeeded for part in extraction):
            found[variant] = model
            yield encoding_step(config, fit, model, None, spaces)
    compared: dict[Variant, Space] = {}
    for variant, model in found.items():
        if variant.is_control:
            continue
        others = [o for o in found.values() if o is not model] if variant.name == TUNED else []
        step = comparison_step(config, fit, model, [space, *others], spaces)
        yield step
        if step.name in succeeded:
            compared[variant] = model
    if seeds_of(compared):
        yield stability_step(config, fit, space, compared, spaces)


def require_tunable(config: Config, spaces: Sequence[Space]) -> None:
    """Refuse what can't be tuned before any work.

    Raises
    ------
    BrainAlignError
        No or several models, an unknown loss, or settings that exclude each other (64).
    """
    variants = variants_of(config.tuning)
    if not variants:
        return
    tuned = tuned_space(config, spaces)
    for variant in variants:
        _require_possible(replace(config, tuning=variant.settings))
        if variant.features:
            _require_features(variant.features, tuned, spaces)


def _require_possible(config: Config) -> None:
    from bids_brainalign.tuning.losses import parse_loss

    parse_loss(config.tuning.loss)
    own = config.tuning
    wrong = ""
    if config.paths.folds is not None:
        wrong = "--folds and [tuning] both say what is held out: give test_stories in [tuning]"
    elif own.input == "blocks" and config.fmri.hrf != FIR and "fmri" in config.modalities:
        wrong = 'blocks need delays: hrf = "fir" in [fmri], or input = "clips" in [tuning]'
    elif own.readout == "pinned" and own.normalisation == "block":
        wrong = 'a pinned readout needs fixed statistics: normalisation = "training" in [tuning]'
    if wrong:
        raise BrainAlignError(
            wrong, fix="change one of the two settings", exit_code=ExitCode.USAGE
        )


def _require_features(name: str, tuned: Space, spaces: Sequence[Space]) -> None:
    """Refuse features to be predicted that this run doesn't make."""
    known = [s.name for s in spaces if s.kind != "lowlevel" and s.name != tuned.name]
    if name not in known:
        raise BrainAlignError(
            f"variants in [tuning]: features={name} is none of the models of this run",
            where=f"models beside {tuned.name}: {', '.join(known) or 'none'}",
            fix=f"give it by --models {name}=FOLDER, or leave the control out",
            exit_code=ExitCode.USAGE,
        )


def tuned_space(config: Config, spaces: Sequence[Space]) -> Space:
    """Give the speech model that is tuned.

    Raises
    ------
    BrainAlignError
        None, several, or not the one that is named (64).
    """
    models = [s for s in spaces if s.kind == "model" and s.mode == "dense"]
    wanted = config.tuning.model
    chosen = [s for s in models if s.name == wanted] if wanted else models
    if len(chosen) == 1:
        return chosen[0]
    names = ", ".join(s.name for s in models) or "none"
    raise BrainAlignError(
        f"[tuning]: there is no speech model {wanted}" if wanted
        else f"[tuning] tunes one speech model, and this run has {len(models)}",
        where=f"speech models with dense features: {names}",
        fix="give one by --models NAME=FOLDER, or name it: model in [tuning]",
        exit_code=ExitCode.USAGE,
    )  # fmt: skip
