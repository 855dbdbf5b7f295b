"""Preparation of stages: every check that can be made before a stage starts. ``--dry-run`` makes them too."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from hpo.config.bounds import MORE, is_same_space, with_bounds
from hpo.config.environment import Environment
from hpo.config.point_file import TypedPoints
from hpo.config.stages import SEARCH, FinalStage, SearchStage
from hpo.config.study_file import space_of
from hpo.journal.budget import Limit
from hpo.journal.early_end import continue_beyond, ended_as_unlikely
from hpo.journal.events import BudgetSet, Event, Noticed, StageAsked, StudyCreated
from hpo.journal.results import StudyState
from hpo.journal.stage_state import is_same_search
from hpo.programs.program import Program
from hpo.report.formats import value as format_value
from hpo.report.formats import values_tried
from hpo.space.space import Parameters
from hpo.space.symbols import symbol
from hpo.study.configurations.configuration import configuration_from_symbols
from hpo.study.configurations.finalists import OWN, chosen_finalists, expected_finalists
from hpo.study.configurations.first_points import FirstPoint, first_points_of
from hpo.study.configurations.tried_points import points_in_space
from hpo.study.configurations.warm_start import count_known, known_scores, scored_points
from hpo.study.folders import require_free, stored_place, study_folder
from hpo.study.plan import StageRequest, StudyPlan, stage_settings
from hpo.study.reopening import refuse_changes
from hpo.study.running.budget import begun, expected_limit
from hpo.study.running.stage import build_stage, open_test_split, start_of
from hpo.tasks.base.own_code import own_errors
from hpo.tasks.base.splits import Progress
from hpo.tasks.base.versions import code_digest, versions
from hpo.tracking.store import check_store
from model.errors import ConfigError, UserError
from model.shell import shell_line
from model.wording import counted

_EXTENDABLE = (
    "trials",
    "scheduler",
    "concurrent",
    "array",
    "space",
    "try",
    "own_first",
    "hours",
    "stop_when",
)
"""Settings of a search that may change when trials are added."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparedStage:
    """A stage that can start."""

    asked: StageAsked
    plan: StudyPlan
    """Plan of the study with the settings of the stage."""
    trials: int
    """Largest number of trials."""
    left: int
    """Largest number of trials that have not ended."""
    first: Sequence[FirstPoint] = ()
    """Points that a search is to try before those of its searcher."""
    note: str = ""
    """Message for the user about what measurements decided."""
    limit: Limit | None = None
    """Limit of its time; None without a budget, and where only a preview needs it."""

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
    *,
    budget: BudgetSet | None = None,
) -> list[PreparedStage]:
    """Prepare the stages of the new study ``name``, which is to get ``budget``.

    Raises:
        UserError: The name is taken or cannot be typed, a stage cannot run, or the MLflow store cannot be
            used.
    """
    require_free(environment, name, fix="choose another name with --study NEW")
    check_store(environment)
    state = StudyState.replay([creation(plan, study_folder(environment, name))])
    stages = [_prepared(plan, request, state, environment, progress) for request in requests]
    for event in begun(budget):
        state.apply(event)
    return with_limits(stages, state)


def with_limits(stages: Sequence[PreparedStage], state: StudyState) -> list[PreparedStage]:
    """Return the stages with the limits of their time; this changes ``state``."""
    return [replace(stage, limit=expected_limit(state, stage.asked)) for stage in stages]


def prepare_more(
    plan: StudyPlan,
    requests: Sequence[StageRequest],
    state: StudyState,
    environment: Environment,
    progress: Progress,
) -> list[PreparedStage]:
    """Prepare more stages of a study, or more trials of its search; ``plan`` has its data opened.

    Trials that the study has stay as they are, and the search continues as one of that length would have. In
    a wider space it continues with all that it knows.

    Raises:
        UserError: The study already has such a stage or it cannot run, no trial is added to the search, an
            option of it differs that cannot change, its space lacks points that are known, or data or code
            have changed.
    """
    refuse_changes(plan, state)
    name = state.created.study
    for request in requests:
        if _extends(request, state):
            continue
        if request.name in state.pending:
            raise UserError(
                f"stage {request.name} of study {name!r} is not finished",
                fix=f"continue it with {shell_line('hpo', 'resume', name)}",
            )
        if request.name in state.asked:
            raise UserError(
                f"study {name!r} already has a stage {request.name}",
                fix=f"show it with {shell_line('hpo', 'best', name)}, or start another study from what this "
                f"one found: {shell_line('hpo', 'run', request.name, '--from', name, '--study', 'NEW')}",
            )
    return [
        _extended(plan, request, state)
        if _extends(request, state)
        else _prepared(plan, request, state, environment, progress)
        for request in requests
    ]


def _extends(request: StageRequest, state: StudyState) -> bool:
    """Return whether a request adds trials to the search of a study."""
    return request.name == SEARCH and SEARCH in state.stages


def _extended(plan: StudyPlan, request: StageRequest, state: StudyState) -> PreparedStage:
    stage = request.name
    before = state.asked[stage]
    settings = _extended_settings(plan, request, state)
    staged = plan.with_stage(stage, settings)
    asked = StageAsked(stage=stage, settings=settings, start=before.start, known=before.known)
    if request.bounds or request.table:
        _refuse_untrainable(staged, stage)
    program, present = _program(staged, asked, state), state.trials_of(stage)
    if stage not in state.pending and (program.planned <= len(present) or program.is_done(present)):
        raise _nothing_to_add(staged, state, stage)
    return PreparedStage(
        asked=asked,
        plan=staged,
        trials=program.planned,
        left=program.planned - len(state.tally(stage).ended),
        first=_first(staged, asked, state),
    )


def _nothing_to_add(plan: StudyPlan, state: StudyState, stage: str) -> ConfigError:
    """Return the error for an extension of a search by no trial."""
    settings, name = plan.study.stages.named(stage), state.created.study
    assert isinstance(settings, SearchStage)
    tried, space = _tried_count(state, stage), space_of(settings)
    known = count_known(state.asked[stage].known, space)
    if tried + known == space.size():
        unknown = " that it did not know" if known else ""
        return ConfigError(
            f"study {name!r} has tried all {tried} points of its space{unknown}",
            fix=f"widen the space with --space, or see what it found: {shell_line('hpo', 'best', name)}",
        )
    trials = counted(len(state.trials_of(stage)), "trial")
    return ConfigError(
        f"study {name!r} has {trials} of stage {stage} already, and none would be added",
        fix="--trials is the number of all configurations; ask for more: "
        f"{shell_line('hpo', 'run', 'bayes', '--study', name, '--trials', tried + MORE)}",
    )


def _extended_settings(plan: StudyPlan, request: StageRequest, state: StudyState) -> dict[str, Any]:
    """Return the table of a search with the options that may change.

    Raises:
        ConfigError: Another option differs, or the space lacks points that are known.
    """
    stage, name = request.name, state.created.study
    before = plan.with_stage(stage, state.asked[stage].settings).study.stages.named(stage)
    kept = before.model_dump(mode="json")
    typed = _changed_settings(plan, request, kept, state)
    settings = {**kept, **typed, "epochs": kept["epochs"]}
    if request.bounds:
        settings["space"] = with_bounds(settings["space"], request.bounds)
    # As the table so far: with all defaults, so that what says the same is the same.
    settings = plan.with_stage(stage, settings).study.stages.named(stage).model_dump(mode="json")
    _refuse_lost_points(plan.with_stage(stage, settings), state.asked[stage], state)
    settings["try"] = [
        *kept["try"],
        *(point for point in _tried(plan, request, settings) if point not in kept["try"]),
    ]
    first = _new_first_count(plan.with_stage(stage, settings), state.asked[stage], state)
    if "trials" not in typed and stage not in state.pending:
        new = first or (0 if is_same_space(kept["space"], settings["space"]) else MORE)
        # A search that ended early has fewer configurations than were planned.
        settings["trials"] = min(kept["trials"], _tried_count(state, stage)) + new if new else kept["trials"]
    is_same = not first and is_same_search(kept, {**settings, "try": kept["try"]})
    if is_same and settings["stop_when"] == "unlikely" and ended_as_unlikely(state, stage):
        raise ConfigError(
            f"study {name!r} has ended its search: further trials are unlikely to gain anything",
            fix=f"to continue all the same: {continue_beyond(name)}",
        )
    return settings


def _changed_settings(
    plan: StudyPlan, request: StageRequest, kept: Mapping[str, Any], state: StudyState
) -> dict[str, Any]:
    """Return the options of a search that were typed; ``kept`` is its table so far.

    Of a study file that was typed, only what differs from the study's own file counts: a space, a number of
    trials and so on that were typed before stay.

    Raises:
        ConfigError: One of them cannot change.
    """
    own = plan.study.stages.named(request.name).model_dump(mode="json")
    of_file = {key: value for key, value in (request.table or {}).items() if value != own.get(key)}
    typed = {key: value for key, value in {**of_file, **request.typed}.items() if value not in (None, "auto")}
    for key, value in typed.items():
        # The epochs of a stage may stand under [training].
        present = state.stages[request.name].epochs if key == "epochs" else kept[key]
        if value != present and key not in _EXTENDABLE:
            study = state.created.study
            why = "their scores could not be compared" if key == "epochs" else "a search keeps it to its end"
            raise ConfigError(
                f"the trials of study {study!r} have {key} = {present}, got {value}: {why}",
                can_change="--trials, --scheduler, --concurrent, --array, --space, --try, --stop-when",
                fix="leave this option out, or start another study, which learns from this one with "
                + shell_line("--warm-start", study),
            )
    return typed


def _new_first_count(plan: StudyPlan, asked: StageAsked, state: StudyState) -> int:
    """Return how many points a search would try first, if one of the user's own is among them; else 0."""
    present = [trial.parameters for trial in state.trials_of(asked.stage)]
    ahead = [point for point in first_points_of(plan, asked, present) if not point.why_not]
    return len(ahead) if any(point.source != OWN for point in ahead) else 0


def _tried_count(state: StudyState, stage: str) -> int:
    """Return the number of configurations that a search has tried, each with one seed or more."""
    return sum(trial.replicate == 0 for trial in state.trials_of(stage))


def _tried(plan: StudyPlan, request: StageRequest, settings: Mapping[str, Any]) -> list[Parameters]:
    """Return the points to try of a search, from the command line or else its table, complete and checked."""
    staged = plan.with_stage(request.name, settings)
    stage = staged.study.stages.named(request.name)
    if not isinstance(stage, SearchStage):
        return []
    typed = request.tried or TypedPoints(
        source=f"stages.{request.name}.try of the study file", rows=stage.tried
    )
    return points_in_space(typed, staged, stage)


def _first(plan: StudyPlan, asked: StageAsked, state: StudyState) -> list[FirstPoint]:
    """Return the points that a search is to try first.

    Raises:
        ConfigError: It has too few trials for the user's own points.
    """
    stage = plan.study.stages.named(asked.stage)
    if not isinstance(stage, SearchStage):
        return []
    present = [trial.parameters for trial in state.trials_of(asked.stage)]
    first = first_points_of(plan, asked, present)
    ahead = sum(not point.why_not for point in first)
    count = _tried_count(state, asked.stage)
    left = max(0, stage.trials - count)
    if stage.tried and ahead > left:
        raise ConfigError(
            f"{ahead} points are to be tried first, the study file's own included, but the search has "
            f"{counted(left, 'configuration')} left",
            fix=f"add --trials {count + ahead}, or leave points out",
        )
    return first


def _refuse_lost_points(plan: StudyPlan, asked: StageAsked, state: StudyState) -> None:
    """Check that a space contains the points whose scores a search knows."""
    stage = plan.study.stages.named(asked.stage)
    assert isinstance(stage, SearchStage)
    space = space_of(stage)
    points = [(trial.trial, dict(trial.parameters)) for trial in state.trials_of(asked.stage)]
    points += [("its warm start", point.parameters) for point in scored_points(asked.known)]
    for source, point in points:
        if space.contains(point):
            continue
        known = {entry.name: entry for entry in space.parameters}
        lost = [name for name in point if name not in known or not known[name].contains(point[name])]
        has = ", ".join(f"{symbol(name)} = {format_value(point[name])}" for name in lost)
        raise ConfigError(
            f"the space must contain all points that study {state.created.study!r} knows: {source} has "
            f"{has or 'other hyperparameters'}",
            got="; ".join(f"{symbol(n)} {values_tried(axis)}" for n, axis in space.describe().items()),
            fix="widen the space, or start another study",
        )


def _refuse_untrainable(plan: StudyPlan, name: str) -> None:
    """Check that the study file's configuration can be trained with each bound of a space."""
    stage = plan.study.stages.named(name)
    assert isinstance(stage, SearchStage)
    for parameter, declared in stage.space.items():
        for extreme in declared.extremes():
            source = f"stages.{name}.space.{parameter}"
            configuration_from_symbols({parameter: extreme}, plan, source=source)


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
    if isinstance(plan.with_stage(request.name, settings).study.stages.named(request.name), SearchStage):
        settings["try"] = _tried(plan, request, settings)
    staged = plan.with_stage(request.name, settings)
    if request.bounds:
        _refuse_untrainable(staged, request.name)
    known = {}
    if request.warm_start is not None:
        known = known_scores(request.warm_start, staged, environment)
    asked = StageAsked(stage=request.name, settings=settings, start=request.start, known=known)
    trials = _program(staged, asked, state).planned
    if isinstance(staged.study.stages.named(request.name), FinalStage):
        open_test_split(staged, environment, progress)
    return PreparedStage(
        asked=asked,
        plan=staged,
        trials=trials,
        left=trials,
        first=_first(staged, asked, state),
        note=_together(plan, request, settings),
    )


def _together(plan: StudyPlan, request: StageRequest, settings: Mapping[str, Any]) -> str:
    """Say how many trials run at a time if measurements on GPUs decided it; empty otherwise."""
    given = {**(request.table or plan.study.stages.named(request.name).model_dump()), **request.typed}
    if plan.device == "cpu" or given["concurrent"] != "auto":
        return ""
    together = f"{counted(settings['concurrent'], 'trial')} at a time, {settings['array']} in one process"
    return f"stage {request.name}: {together}; --concurrent N overrides it"


def _program(plan: StudyPlan, asked: StageAsked, state: StudyState) -> Program:
    """Return the program of a stage; earlier stages may still have to run."""
    start = start_of(plan, asked, state)
    finalists = (
        chosen_finalists(plan, asked.stage, start, state)
        if plan.task.finders[0] in state.stages
        else expected_finalists(plan, asked.stage)
    )
    with own_errors(plan.study.task):
        return build_stage(plan, asked.stage, start, finalists=finalists, known=scored_points(asked.known))
