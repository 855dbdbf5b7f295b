"""Preparation of stages: every check that can be made before a stage starts. ``--dry-run`` makes them too."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hpo.config.environment import Environment
from hpo.config.stages import FinalStage
from hpo.journal.events import Event, Noticed, StageAsked, StudyCreated
from hpo.journal.results import StudyState
from hpo.study.finalists import chosen_finalists, expected_finalists
from hpo.study.folders import has_study, stored_place, study_folder
from hpo.study.plan import StageRequest, StudyPlan, stage_settings
from hpo.study.reopening import refuse_changes
from hpo.study.stage import build_stage, open_test_split, start_of
from hpo.study.versions import code_digest, versions
from hpo.study.warm_start import known_scores
from hpo.tasks.base.own_code import own_errors
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
    note: str = ""
    """Message for the user about what measurements decided."""

    @property
    def events(self) -> list[Event]:
        """Events with which the stage enters the journal."""
        return [self.asked, Noticed(message=self.note)] if self.note else [self.asked]


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
    """Prepare more stages of a study; ``plan`` has its data opened.

    Raises:
        UserError: The study already has such a stage, it cannot run, or data or code have changed.
    """
    refuse_changes(plan, state)
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
    """Prepare more trials of a search; ``plan`` has its data opened.

    Trials that the study has stay as they are, and the search continues as one of that length would have.

    Raises:
        UserError: An option differs that cannot change, no trial is added, or data or code have changed.
    """
    refuse_changes(plan, state)
    stage, name = request.name, state.created.study
    if stage not in state.stages:
        return prepare_more(plan, [request], state, environment, progress)[0]
    before = state.asked[stage]
    asked_for = {**(request.table or {}), **{k: v for k, v in request.options.items() if v is not None}}
    typed = {key: value for key, value in asked_for.items() if value not in (None, "auto")}
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
            fix="ask for more configurations: "
            f"{shell_line('hpo', 'run', 'bayes', '--study', name, '--trials', settings['trials'] + 10)}",
        )
    return PreparedStage(asked=asked, plan=staged, trials=trials)


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


def _prepared(
    plan: StudyPlan, request: StageRequest, state: StudyState, environment: Environment, progress: Progress
) -> PreparedStage:
    settings = stage_settings(plan, request, environment)
    staged = plan.with_stage(request.name, settings)
    known = {}
    if request.warm_start is not None:
        known = known_scores(request.warm_start, staged, environment)
    asked = StageAsked(stage=request.name, settings=settings, start=request.start, known=known)
    if isinstance(staged.study.stages.named(request.name), FinalStage):
        open_test_split(staged, environment, progress)
    trials = _trials(staged, asked, state)
    return PreparedStage(asked=asked, plan=staged, trials=trials, note=_together(plan, request, settings))


def _together(plan: StudyPlan, request: StageRequest, settings: Mapping[str, Any]) -> str:
    """Say how many trials run at a time if measurements on GPUs decided it; empty otherwise."""
    given = {**(request.table or plan.study.stages.named(request.name).model_dump()), **request.options}
    if plan.device == "cpu" or (given["concurrent"] or "auto") != "auto":
        return ""
    together = f"{settings['concurrent']} trials at a time, {settings['array']} in one process"
    return f"stage {request.name}: {together}; --concurrent N overrides it"


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
