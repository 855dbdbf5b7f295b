"""Preparation of stages: every check that can be made before a stage starts. ``--dry-run`` makes them too."""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from hpo.config.environment import Environment
from hpo.config.stages import FinalStage
from hpo.journal.events import StageAsked, StudyCreated
from hpo.journal.results import StudyState
from hpo.study.finalists import chosen_finalists, expected_finalists
from hpo.study.folders import has_study, stored_place, study_folder
from hpo.study.plan import StageRequest, StudyPlan, plan_of, reopen_data, stage_settings
from hpo.study.stage import build_stage, open_test_split, start_of
from hpo.study.versions import code_digest, versions
from hpo.study.warm_start import known_scores
from hpo.tasks.base.own_code import own_errors
from hpo.tasks.base.places import is_uri
from hpo.tasks.base.splits import Progress
from hpo.tracking.store import check_store
from model.errors import ConfigError, UserError
from model.shell import shell_line

_EXTENDABLE = ("trials", "scheduler", "concurrent", "array")
"""Settings of a search that may change when trials are added."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparedStage:
    """A stage that can start."""

    asked: StageAsked
    plan: StudyPlan
    """Plan of the study with the settings of the stage."""
    trials: int
    """Largest number of trials."""


def prepare_new(
    plan: StudyPlan,
    name: str,
    requests: Sequence[StageRequest],
    environment: Environment,
    progress: Progress,
) -> list[PreparedStage]:
    """Prepare the stages of the new study ``name``.

    Raises:
        UserError: The name is taken, a stage cannot run, or the MLflow store cannot be used.
    """
    check_store(environment)
    if has_study(environment, name):
        raise UserError(
            f"study {name!r} exists already",
            folder=study_folder(environment, name),
            fix="choose another name with --study NEW, or leave --study out",
        )
    state = StudyState.replay([creation(plan, study_folder(environment, name))])
    return [_prepared(plan, request, state, environment, progress) for request in requests]


def prepare_more(
    plan: StudyPlan,
    requests: Sequence[StageRequest],
    state: StudyState,
    environment: Environment,
    progress: Progress,
) -> list[PreparedStage]:
    """Prepare more stages of a study; ``plan`` is what ``reopen`` returned.

    Raises:
        UserError: The study already has such a stage, or it cannot run.
    """
    name = state.created.study
    for request in requests:
        if request.name in state.asked:
            raise UserError(
                f"study {name!r} already has a stage {request.name}",
                fix=f"show it with {shell_line('hpo', 'best', name)}, or start another study from what this "
                f"one found: {shell_line('hpo', 'run', request.name, '--from', name, '--study', 'NEW')}",
            )
    return [_prepared(plan, request, state, environment, progress) for request in requests]


def prepare_extension(
    plan: StudyPlan, request: StageRequest, state: StudyState, environment: Environment, progress: Progress
) -> PreparedStage:
    """Prepare more trials of a search; ``plan`` is what ``reopen`` returned.

    Trials that the study has stay as they are, and the search continues as one of that length would have.

    Raises:
        UserError: An option differs that cannot change, or no trial is added.
    """
    stage, name = request.name, state.created.study
    if stage not in state.stages:
        return prepare_more(plan, [request], state, environment, progress)[0]
    before = state.asked[stage]
    asked_for = {**(request.table or {}), **{k: v for k, v in request.options.items() if v is not None}}
    typed = {key: value for key, value in asked_for.items() if value is not None}
    for key, value in typed.items():
        # The epochs of a stage may stand under [training].
        kept = state.stages[stage].epochs if key == "epochs" else before.settings[key]
        if value != kept and key not in _EXTENDABLE:
            raise ConfigError(
                f"the trials of study {name!r} have {key} = {kept}, got {value}: their scores could not be "
                "compared",
                can_change=", ".join(f"--{key}" for key in _EXTENDABLE),
                fix="leave this option out, or start another study",
            )
    settings = {**before.settings, **typed, "epochs": before.settings["epochs"]}
    staged = plan.with_stage(stage, settings)
    asked = StageAsked(stage=stage, settings=settings, start=before.start, known=before.known)
    trials, present = _trials(staged, asked, state), len(state.trials_of(stage))
    if trials <= present and stage not in state.pending:
        raise ConfigError(
            f"study {name!r} has {present} trials of stage {stage} already, and none would be added",
            fix=f"ask for more configurations: hpo run bayes --study {shlex.quote(name)} "
            f"--trials {settings['trials'] + 10}",
        )
    return PreparedStage(asked=asked, plan=staged, trials=trials)


def reopen(
    state: StudyState, folder: Path, environment: Environment, progress: Progress, *, data: str | None = None
) -> StudyPlan:
    """Open the data of the study in ``folder`` again, and return its plan.

    Args:
        state: State of the study.
        folder: Folder of the study.
        environment: Names the cache and the MLflow store.
        progress: Reports progress while data are read.
        data: Place to which the data have moved. None: where they were.

    Raises:
        UserError: Data or code have changed, or the MLflow store cannot be used.
    """
    check_store(environment)
    if data is not None:
        plan = moved_plan(state, folder, data, environment, progress)
    else:
        before = plan_of(folder, state.created)
        plan = reopen_data(placed(before, before.data, folder.name), environment, progress)
    refuse_changes(plan, state)
    return plan


def moved_plan(
    state: StudyState, folder: Path, data: str, environment: Environment, progress: Progress
) -> StudyPlan:
    """Return the plan of the study in ``folder`` with its data opened where they have moved to.

    Raises:
        UserError: The data cannot be read, or are not those of the study.
    """
    plan = reopen_data(placed(plan_of(folder, state.created), data, folder.name), environment, progress)
    if plan.data_digest != state.created.data_digest:
        raise UserError(
            f"study {folder.name!r} was started with other data than those in {data}: their digests differ",
            fix="give the folder to which its data have moved, or start another study with "
            f"{shell_line('--study', 'NEW', '--from', folder.name)}",
        )
    return plan


def placed(plan: StudyPlan, data: str, name: str) -> StudyPlan:
    """Return the plan of study ``name`` with its data in the place ``data``.

    Raises:
        UserError: There is no such place.
    """
    if not is_uri(data) and not Path(data).exists():
        raise UserError(
            f"the data of study {name!r} were not found: there is no {data}",
            fix=f"say where they are: {shell_line('hpo', 'resume', name, '--data')} FOLDER",
        )
    return replace(plan, data=data)


def creation(plan: StudyPlan, folder: Path) -> StudyCreated:
    """Return the first event of a new study in ``folder``."""
    return StudyCreated(
        study=folder.name,
        plan={**plan.to_json(), "data": stored_place(plan.data, folder)},
        seed=plan.seed,
        data_digest=plan.data_digest,
        code_digest=code_digest(plan.study.task),
        versions=versions(),
    )


def refuse_changes(plan: StudyPlan, state: StudyState) -> None:
    """Check that data and code are those with which the study was started.

    Raises:
        UserError: They have changed.
    """
    created, changed = state.created, []
    if plan.data_digest != created.data_digest:
        changed.append(f"the data in {plan.data}")
    if code_digest(plan.study.task) != created.code_digest:
        changed.append("the code of this project")
    if changed:
        raise UserError(
            f"{' and '.join(changed)} changed since study {created.study!r} started, so new scores would not "
            "be comparable",
            fix="restore the earlier state, or resume a copy of the study with the present one: "
            f"{shell_line('hpo', 'resume', created.study, '--fork', 'NEW')}",
        )


def _prepared(
    plan: StudyPlan, request: StageRequest, state: StudyState, environment: Environment, progress: Progress
) -> PreparedStage:
    settings = stage_settings(plan, request)
    staged = plan.with_stage(request.name, settings)
    known = {}
    if request.warm_start is not None:
        known = known_scores(request.warm_start, staged, environment)
    asked = StageAsked(stage=request.name, settings=settings, start=request.start, known=known)
    if isinstance(staged.study.stages.named(request.name), FinalStage):
        open_test_split(staged, environment, progress)
    return PreparedStage(asked=asked, plan=staged, trials=_trials(staged, asked, state))


def _trials(plan: StudyPlan, asked: StageAsked, state: StudyState) -> int:
    """Return the largest number of trials of a stage; earlier stages may still have to run."""
    start = start_of(plan, asked, state)
    finalists = (
        chosen_finalists(plan, asked.stage, start, state)
        if plan.task.finders[0] in state.stages
        else expected_finalists(plan, asked.stage)
    )
    with own_errors(plan.study.task):
        return build_stage(plan, asked.stage, start, finalists=finalists).planned
