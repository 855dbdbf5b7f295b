"""Sessions: start, continue, resume and fork studies, with one process and one journal per study."""

import contextlib
import shutil
from collections.abc import Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from pathlib import Path

from hpo.config.environment import Environment
from hpo.journal.events import (
    BudgetSet,
    Event,
    StageExtended,
    StudyInterrupted,
    Value,
)
from hpo.journal.journal import Journal, read_journal
from hpo.journal.results import StudyState, stored_state
from hpo.schedule.cluster import NodeRequirements, cluster_session
from hpo.schedule.gpus import local_gpus
from hpo.schedule.local_ray import ray_session
from hpo.study.budget import begun, next_budget, require_time
from hpo.study.devices import available_cpus
from hpo.study.estimate import least_memory_bytes
from hpo.study.folders import study_folder
from hpo.study.interruption import signals_as_ctrl_c
from hpo.study.plan import StageRequest, StudyPlan, plan_of, reopen_data, stored_plan
from hpo.study.preparing import PreparedStage, creation, prepare_extension, prepare_more, with_limits
from hpo.study.reopening import placed, refuse_changes, reopen, reopened, resumption, retried_stages
from hpo.study.results import figure_files, stage_importance, winner
from hpo.study.runner import Listener
from hpo.study.stage import StageRun
from hpo.study.stop_requests import BY_USER, WHOLE_STUDY, StopRequests
from hpo.tasks.base.splits import Progress
from hpo.tracking.deletion import delete_experiment
from hpo.tracking.follower import Follower, FollowerReport
from hpo.tracking.mlflow_tracker import MlflowTracker
from hpo.tracking.store import check_store
from hpo.trial.files import BEST, CONFIG, trial_folder
from model.errors import StorageError, UserError
from model.shell import shell_line

ALL_FAIL = "all trials fail for the same reason"
"""Reason for which a study is interrupted."""
DRAIN_S = 60.0
"""Seconds to wait for MLflow at the end of a session; the next resume sends the remaining records."""
INTERRUPTED_DRAIN_S = 5.0
"""The same for a session that is interrupted or fails: whoever stopped it waits for its end."""


@dataclass(frozen=True, slots=True)
class SessionEnd:
    """State of a study at the end of a session."""

    state: StudyState
    complete: bool
    """False if the session was interrupted."""
    tracking: FollowerReport


def start_study(
    plan: StudyPlan,
    name: str,
    stages: Sequence[PreparedStage],
    environment: Environment,
    listener: Listener,
    *,
    budget: BudgetSet | None = None,
) -> SessionEnd:
    """Run ``stages`` of a new study, one after the other, for as long as ``budget`` allows.

    Raises:
        UserError: The name is taken, or a stage cannot run.
    """
    with Journal.create(study_folder(environment, name)) as journal:
        journal.append(creation(plan, journal.folder))
        for event in [*(event for stage in stages for event in stage.events), *begun(budget)]:
            journal.append(event)
        state = stored_state(journal.folder)
        try:
            return _run_stages(plan, journal, state, environment, listener)
        except Exception:
            _discard_if_empty(journal, environment)
            raise


def _discard_if_empty(journal: Journal, environment: Environment) -> None:
    """Remove a study that could not start, before it becomes the one that commands take by default."""
    state = stored_state(journal.folder)
    if state.trials:
        return
    shutil.rmtree(journal.folder, ignore_errors=True)
    with contextlib.suppress(UserError):
        delete_experiment(environment, state.created.identity)


def continue_study(
    name: str,
    requests: Sequence[StageRequest],
    environment: Environment,
    progress: Progress,
    listener: Listener,
    *,
    data: str | None = None,
    budget: BudgetSet | None = None,
) -> SessionEnd:
    """Run more stages of a study, after the unfinished ones, for as long as ``budget`` allows.

    A search whose budget is over ends with the trials that it has. ``data`` is where the data have moved to.

    Raises:
        UserError: The study does not exist, is running elsewhere or already has such a stage, or its data or
            the code have changed.
    """
    with Journal.open(study_folder(environment, name)) as journal:
        state = stored_state(journal.folder)
        plan = reopen(journal, state, data, environment, progress)
        stages = prepare_more(plan, requests, state, environment, progress)
        asked = (event for stage in stages for event in stage.events)
        _record(
            journal, state, [*resumption(journal, state, environment), *asked, *next_budget(state, budget)]
        )
        return _run_stages(plan, journal, state, environment, listener)


def extend_study(
    name: str,
    request: StageRequest,
    environment: Environment,
    progress: Progress,
    listener: Listener,
    *,
    data: str | None = None,
    budget: BudgetSet | None = None,
) -> SessionEnd:
    """Add trials to a search of a study, whether it has ended or not, and run what is left.

    It runs for as long as ``budget`` allows. ``data`` is where its data have moved to.

    Raises:
        UserError: The study does not exist or is running elsewhere, an option cannot change, no trial is
            added, or data or code have changed.
    """
    with Journal.open(study_folder(environment, name)) as journal:
        state = stored_state(journal.folder)
        plan = reopen(journal, state, data, environment, progress)
        stage = prepare_extension(plan, request, state, environment, progress)
        added = _extension(stage) if request.name in state.stages else stage.asked
        _record(
            journal, state, [*resumption(journal, state, environment), added, *next_budget(state, budget)]
        )
        return _run_stages(plan, journal, state, environment, listener)


def preview_extension(
    name: str,
    request: StageRequest,
    environment: Environment,
    progress: Progress,
    *,
    data: str | None = None,
    budget: BudgetSet | None = None,
) -> PreparedStage:
    """Prepare more trials of a search, with all checks of ``extend_study``, and start nothing.

    Raises:
        UserError: As ``extend_study``.
    """
    with Journal.open(study_folder(environment, name)) as journal:
        state = stored_state(journal.folder)
        plan = reopened(journal.folder, state, data, environment, progress)
        return with_limits([prepare_extension(plan, request, state, environment, progress)], state, budget)[0]


def _extension(stage: PreparedStage) -> StageExtended:
    plan, name = stage.plan, stage.asked.stage
    return StageExtended(
        stage=name,
        settings=dict(stage.asked.settings),
        trials=stage.trials,
        space=plan.task.varied(plan.study, name, plan.shape),
    )


def preview_continuation(
    name: str,
    requests: Sequence[StageRequest],
    environment: Environment,
    progress: Progress,
    *,
    data: str | None = None,
    budget: BudgetSet | None = None,
) -> list[PreparedStage]:
    """Prepare more stages of a study, with all checks of ``continue_study``, and start nothing.

    Raises:
        UserError: As ``continue_study``.
    """
    with Journal.open(study_folder(environment, name)) as journal:
        state = stored_state(journal.folder)
        plan = reopened(journal.folder, state, data, environment, progress)
        return with_limits(prepare_more(plan, requests, state, environment, progress), state, budget)


def resume_study(
    name: str,
    environment: Environment,
    progress: Progress,
    listener: Listener,
    *,
    data: str | None = None,
    budget: BudgetSet | None = None,
    retry_failed: bool = False,
) -> SessionEnd:
    """Resume a study; unfinished trials come first and continue from their checkpoints.

    For a complete study, only the records that MLflow lacks are sent. ``data`` is where its data have moved
    to. ``budget`` replaces the study's budget. With ``retry_failed``, failed trials are trained again from
    their beginning.

    Raises:
        UserError: The study does not exist or is running elsewhere, its budget is used up, its data or
            the code have changed, or there are no failed trials to train again.
    """
    check_store(environment)
    with Journal.open(study_folder(environment, name)) as journal:
        state = stored_state(journal.folder)
        require_time(state, budget)
        plan = plan_of(journal.folder, state.created)
        retried = retried_stages(state) if retry_failed else []
        is_resumed = bool(state.pending or retried)
        if is_resumed or data is not None:
            plan = reopen(journal, state, data, environment, progress)
        if is_resumed:
            refuse_changes(plan, state)
            failed = [trial.trial for event in retried for trial in state.failed_trials(event.stage)]
            _record(journal, state, [*resumption(journal, state, environment), *retried, *begun(budget)])
            for trial in failed:  # what the failed attempt left is not of the next one
                shutil.rmtree(trial_folder(journal.folder, trial), ignore_errors=True)
        return _run_stages(plan, journal, state, environment, listener)


def move_data(name: str, data: str, environment: Environment, progress: Progress) -> None:
    """Record where the data of a study have moved to, in MLflow too if it answers.

    Raises:
        UserError: The study does not exist or is running, or these are not its data.
    """
    with Journal.open(study_folder(environment, name)) as journal:
        plan = reopen(journal, stored_state(journal.folder), data, environment, progress)
        Follower(journal.folder, _tracker(plan, journal.folder, environment)).start().close(DRAIN_S)


def sync_study(name: str, environment: Environment) -> FollowerReport:
    """Send the records that MLflow lacks of a study that is not running.

    Raises:
        UserError: The study does not exist, or it is running, which records it already.
    """
    check_store(environment)
    with Journal.open(study_folder(environment, name)) as journal:
        plan = stored_plan(journal.folder)
        follower = Follower(journal.folder, _tracker(plan, journal.folder, environment))
        return follower.start().close(DRAIN_S)


def fork_study(
    name: str, new_name: str, environment: Environment, progress: Progress, *, data: str | None = None
) -> None:
    """Copy a study to a new name, for the present code and data; ``data`` is where its data are now.

    Its trials keep their results; ``resume_study`` continues from there.

    Raises:
        UserError: The study does not exist, or the new name is taken.
    """
    source, target = study_folder(environment, name), study_folder(environment, new_name)
    events = read_journal(source).events
    created = StudyState.replay(events).created
    plan = plan_of(source, created)
    plan = placed(plan, data or plan.data, name)
    plan = reopen_data(plan, environment, progress)
    with Journal.create(target) as journal:
        if (source / "trials").is_dir():
            shutil.copytree(source / "trials", target / "trials")
        journal.append(creation(plan, target))
        for event in events[1:]:
            journal.append(event)


def _record(journal: Journal, state: StudyState, events: Sequence[Event]) -> None:
    """Write events to the journal and apply them to the state, as a replay of the journal would."""
    for event in events:
        journal.append(event)
        state.apply(event)


def _run_stages(
    plan: StudyPlan, journal: Journal, state: StudyState, environment: Environment, listener: Listener
) -> SessionEnd:
    """Run the stages that have not ended, and record them in MLflow meanwhile."""
    pending, drain_s, requests, reason = state.pending, DRAIN_S, StopRequests(journal.folder), ""
    requests.remove(WHOLE_STUDY)  # of an earlier session
    follower = Follower(journal.folder, _tracker(plan, journal.folder, environment))
    with signals_as_ctrl_c():
        try:
            listener(state)
            if environment.ray_address is None:  # a study that its cluster refuses leaves nothing in MLflow
                follower.start()
            reason = _finish_stages(plan, journal, state, environment, listener, follower)
            follower.start()
        except KeyboardInterrupt:
            pass  # before or after the training, which ends in good order by itself
        except StorageError:
            drain_s = 0.0  # on a full disk MLflow has no room either
            raise
        finally:
            complete = not state.pending
            if pending and not complete:
                _record(journal, state, [StudyInterrupted(reason=reason or _why_stopped(state, requests))])
                drain_s = min(drain_s, INTERRUPTED_DRAIN_S)
            tracking = follower.close(drain_s)
    return SessionEnd(state, complete, tracking)


def _why_stopped(state: StudyState, requests: StopRequests) -> str:
    if requests.has(WHOLE_STUDY):
        requests.remove(WHOLE_STUDY)
        return BY_USER
    return f"the budget of {state.budget_over} is over" if state.budget_over else "stopped before the end"


def _finish_stages(
    plan: StudyPlan,
    journal: Journal,
    state: StudyState,
    environment: Environment,
    listener: Listener,
    follower: Follower,
) -> str:
    """Run stages until one of them is interrupted; returns why, if its trials are the cause."""
    has_ray = False
    with ExitStack() as stack:
        for name in state.pending:
            run = StageRun(plan, name, journal, state, environment, listener)
            if not run.is_cut_short:
                if run.needs_training and run.has_time and not has_ray:
                    stack.enter_context(_ray(plan, journal.folder, state, environment))
                    has_ray = True
                follower.start()
                run.finish()
            if run.is_cut_short:
                run.cut_short()
            if run.fails_alike:
                return ALL_FAIL
            if not run.complete or StopRequests(journal.folder).has(WHOLE_STUDY):
                break
    return ""


def _ray(
    plan: StudyPlan, folder: Path, state: StudyState, environment: Environment
) -> AbstractContextManager[None]:
    """Start Ray once for all stages, because starting it takes longer than a short trial."""
    each_stage = [
        plan.with_stage(name, state.asked[name].settings).parallelism(name) for name in state.pending
    ]
    gpu = plan.device == "cuda"
    if environment.ray_address is None:
        cpus = max(available_cpus(), *(stage.concurrent for stage in each_stage))
        return ray_session(cpus=cpus, gpus=_gpus_here(folder.name) if gpu else 0, study=folder.name)
    needs = NodeRequirements(
        task=plan.study.task,
        threads=max(stage.threads for stage in each_stage),
        gpu=gpu,
        memory_bytes=max(least_memory_bytes(plan, stage) for stage in each_stage),
        splits=(plan.train, plan.valid),
        study=folder,
    )
    return cluster_session(environment.ray_address, needs)


def _gpus_here(study: str) -> int:
    """Return the number of GPUs of this machine: without one, Ray would wait for one for ever.

    Raises:
        UserError: There is none.
    """
    gpus = local_gpus()
    if not gpus:
        raise UserError(
            f"study {study!r} trains on cuda, but this machine has no GPU",
            fix="resume it on a machine that has one, or start another study with --device cpu, which learns "
            f"from its scores with {shell_line('--warm-start', study)}",
        )
    return gpus


def _tracker(plan: StudyPlan, folder: Path, environment: Environment) -> MlflowTracker:
    return MlflowTracker(
        environment,
        dataset=plan.dataset,
        fixed={
            name: _whole(value) if "." in name else value for name, value in plan.own_configuration().items()
        },
        files_of=lambda trial: [trial_folder(folder, trial) / name for name in (BEST, CONFIG)],
        importance_of=lambda state, stage: stage_importance(state, stage, folder),
        figures_of=lambda state, stage: figure_files(plan, state, stage, folder),
        winner_of=lambda state, stage: winner(plan, state, stage, folder),
    )


def _whole(value: Value) -> Value:
    """Convert whole floats to integers, as the paper writes frames."""
    return int(value) if isinstance(value, float) and value.is_integer() else value
