"""Trials of action spotting by name, with the paths of their networks and data."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from hpo.config.environment import Environment
from hpo.journal.ranking import ConfigurationKey, configuration_key
from hpo.journal.results import StudyState, stored_state
from hpo.journal.trial_state import TrialState
from hpo.study.folders import chosen_study, identity_of, known_studies, studies_folder, study_folder
from hpo.study.plan import plan_of
from hpo.tasks.calf.data import open_for
from hpo.tracking.runs import recorded_trial
from hpo.trial.files import BEST, trial_folder
from model.data.stores.store import Store
from model.errors import DataError, UserError
from model.shell import shell_line
from model.training.config import TrainingConfig
from model.weights.trained import TrainedNetwork


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedTrial:
    """Trial that was named on the command line, with its network and data."""

    study: str
    """Name of its study."""
    identity: str
    """Identity of its study, as in the journal."""
    trial: str
    """Name of the trial in its study."""
    label: str
    """Label in figures: role in the stage, name, and Average-mAP on the validation split."""
    weights: Path
    data: str
    features: str
    games: Mapping[str, int]
    """Split -> number of games that the study uses, from the start of the split. The test split has all."""
    valid_digest: str
    """Digest of the validation games, on which it was scored."""
    nms_window_s: float | None
    """Width of the suppression in its score, in seconds; None: the width of each tolerance."""
    tolerances_s: Sequence[float]
    """Tolerances of its score in seconds, as full widths."""


def find_trial(name: str, split: str, environment: Environment) -> NamedTrial:
    """Return the trial with the name ``STUDY/TRIAL``, or with the given id of an MLflow run.

    Raises:
        UserError: The trial does not exist or has no network yet, or the test split is still closed for it.
    """
    if "/" not in name:
        name = name_of_run(name, environment)
    study, _, trial_name = name.partition("/")
    folder = chosen_study(environment, study)
    state = stored_state(folder)
    if trial_name not in state.trials:
        raise UserError(
            f"study {study!r} has no trial {trial_name!r}", known=", ".join(state.trials) or "none yet"
        )
    plan = plan_of(folder, state.created)
    if not plan.task.analyses:
        raise UserError(
            f"expected a study of action spotting (task calf), got one of the task {plan.study.task}"
        )
    if split == "test" and state.trials[trial_name].tested is None:
        raise UserError(
            f"the test split is closed for trial {name}: only trials of the stage final are scored on it",
            fix=f"use --split valid, or {_way_to_test(state)}",
        )
    weights = trial_folder(folder, trial_name) / BEST
    if not weights.is_file():
        raise UserError(f"trial {name} has no network yet ({BEST} is missing)", file=weights)
    training = plan.task.shared(plan.study, plan.shape, plan.precision)
    assert isinstance(training, TrainingConfig), "action spotting, whose networks are analysed, has no other"
    return NamedTrial(
        study=folder.name,
        identity=state.created.identity,
        trial=trial_name,
        label=_label(folder.name, state.trials[trial_name]),
        weights=weights,
        data=plan.data,
        features=plan.features,
        games={"train": plan.train.items, "valid": plan.valid.items},
        valid_digest=plan.data_digest.rpartition("+")[2],
        nms_window_s=training.nms_window_s,
        tolerances_s=training.tolerances_s,
    )


def _label(study: str, trial: TrialState) -> str:
    score = "no score" if trial.score is None else f"{trial.score:.3f} on validation"
    label = f"{study}/{trial.trial}, {score}"
    return f"{trial.role} ({label})" if trial.role else label


def open_validation(trial: NamedTrial, trained: TrainedNetwork, cache: Path) -> Store:
    """Open the validation games that the study of a trial uses; ``trained`` is the trial's network.

    Raises:
        UserError: The data cannot be read.
    """
    return open_for(trained, trial.data, cache, "valid", features=trial.features, count=trial.games["valid"])


def has_data_of(
    trial: NamedTrial,
    trained: TrainedNetwork,
    place: str,
    cache: Path,
    *,
    features: str | None,
    force_features: bool,
) -> bool:
    """Return whether the data in ``place`` are those of a trial: its validation games are the same.

    Args:
        trial: The trial.
        trained: A network that fits the data.
        place: Folder or URI of the data.
        cache: Folder of memory-mapped data sets.
        features: Name of the features.
        force_features: Whether other features than those of the training are allowed.

    Raises:
        UserError: The data cannot be read.
    """
    try:
        valid = open_for(
            trained,
            place,
            cache,
            "valid",
            features=features,
            force_features=force_features,
            count=trial.games["valid"],
        )
    except DataError:  # fewer games, of which the digest would say nothing
        return False
    return valid.digest == trial.valid_digest


def trials_of_stage(name: str, environment: Environment) -> list[str]:
    """Return the first trial of every configuration with a score for ``STUDY/STAGE``, as ``STUDY/TRIAL``.

    Any other name is returned as it is.
    """
    study, _, stage = name.partition("/")
    if not stage or study not in known_studies(environment):
        return [name]
    state = stored_state(chosen_study(environment, study))
    if stage not in state.stages:
        return [name]
    first: dict[tuple[str, ConfigurationKey], str] = {}
    for trial in state.trials_of(stage):
        if trial.score is not None:
            first.setdefault((trial.role, configuration_key(trial.parameters)), f"{study}/{trial.trial}")
    return list(first.values())


def name_of_run(run: str, environment: Environment) -> str:
    """Return ``STUDY/TRIAL`` for the id of an MLflow run of a study that is here, whatever its name there.

    Raises:
        UserError: The run does not exist or is no trial with a validation, or its study is not here.
    """
    recorded = recorded_trial(environment, run)
    study, trial = recorded.tags["hpo.study"], recorded.tags["hpo.trial"]
    for name in known_studies(environment):
        if identity_of(study_folder(environment, name)) == recorded.identity:
            return f"{name}/{trial}"
    raise UserError(
        f"run {run} is the trial {trial!r} of a study {study!r} that is not among the studies here",
        folder=studies_folder(environment),
        fix="set HPO_RUNS to the folder in which that study ran, or give the file of its network: --weights",
    )


def _way_to_test(state: StudyState) -> str:
    """Say how to get a trial that is scored on the test split."""
    tested = next((trial.trial for trial in state.trials.values() if trial.tested is not None), None)
    if tested is not None:
        return f"a trial of the final, such as {state.created.study}/{tested}"
    return f"a trial of the final: {shell_line('hpo', 'run', 'final', '--study', state.created.study)}"
