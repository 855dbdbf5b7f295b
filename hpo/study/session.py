"""Sessions: start, continue, resume and fork studies, with one process and one journal per study."""

import shutil
import signal
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from hpo.config.environment import Environment
from hpo.journal.events import (
    DataMoved,
    Noticed,
    StageAsked,
    StudyCreated,
    StudyInterrupted,
    StudyResumed,
    Value,
)
from hpo.journal.journal import Journal, read_journal
from hpo.journal.results import StudyState
from hpo.schedule.cluster import NodeRequirements, cluster_session
from hpo.schedule.tuner import ray_session
from hpo.study.estimate import least_memory_bytes
from hpo.study.folders import found_place, stored_place, study_folder
from hpo.study.plan import (
    StageRequest,
    StudyPlan,
    available_cpus,
    reopen_data,
    stage_settings,
)
from hpo.study.results import figure_files, stage_importance
from hpo.study.runner import Listener, trial_folder
from hpo.study.stage import StageRun
from hpo.study.versions import code_digest, versions
from hpo.study.warm_start import known_scores
from hpo.tasks.base.places import is_uri
from hpo.tasks.base.splits import Progress
from hpo.tracking.follower import Follower, FollowerReport
from hpo.tracking.mlflow_tracker import MlflowTracker
from hpo.tracking.store import check_store
from hpo.trial.run import BEST, CONFIG
from model.errors import StorageError, UserError
from model.shell import shell_line

DRAIN_S = 60.0
"""Seconds to wait for MLflow at the end of a session; the next resume sends the remaining records."""


@dataclass(frozen=True, slots=True)
class SessionEnd:
    """State of a study at the end of a session."""

    state: StudyState
    complete: bool
    """False if the session was interrupted."""
    tracking: FollowerReport


def start_study(
    plan: StudyPlan, name: str, stages: Sequence[StageRequest], environment: Environment, listener: Listener
) -> SessionEnd:
    """Run ``stages`` of a new study, one after the other.

    Raises:
        UserError: The name is taken, a stage cannot run, or the MLflow store cannot be used.
    """
    check_store(environment)
    asked = [_stage_asked(plan, request, environment) for request in stages]
    with Journal.create(study_folder(environment, name)) as journal:
        journal.append(_creation(plan, journal.folder))
        for event in asked:
            journal.append(event)
        return _run_stages(plan, journal, environment, listener)


def continue_study(
    name: str,
    stages: Sequence[StageRequest],
    environment: Environment,
    progress: Progress,
    listener: Listener,
    *,
    data: str | None = None,
) -> SessionEnd:
    """Run more stages of a study, after the unfinished ones; ``data`` is where its data have moved to.

    Raises:
        UserError: The study does not exist, is running elsewhere or already has such a stage, or its data or
            the code have changed.
    """
    check_store(environment)
    with Journal.open(study_folder(environment, name)) as journal:
        state = StudyState.replay(journal.events())
        plan = _reopened(journal, state, data, environment, progress)
        _refuse_changes(plan, state.created)
        for request in stages:
            if request.name in state.asked:
                raise UserError(
                    f"study {name!r} already has a stage {request.name}",
                    fix=f"show it with {shell_line('hpo', 'best', name)}, or start another study with "
                    f"{shell_line('--study', 'NEW', '--from', name)}",
                )
        asked = [_stage_asked(plan, request, environment) for request in stages]
        _record_resume(journal)
        for event in asked:
            journal.append(event)
        return _run_stages(plan, journal, environment, listener)


def resume_study(
    name: str,
    environment: Environment,
    progress: Progress,
    listener: Listener,
    *,
    data: str | None = None,
) -> SessionEnd:
    """Resume a study; unfinished trials come first and continue from their checkpoints.

    For a complete study, only the records that MLflow lacks are sent. ``data`` is where its data have moved
    to.

    Raises:
        UserError: The study does not exist or is running elsewhere, or its data or the code have changed.
    """
    check_store(environment)
    with Journal.open(study_folder(environment, name)) as journal:
        state = StudyState.replay(journal.events())
        plan = plan_of(journal.folder, state.created)
        if state.pending or data is not None:
            plan = _reopened(journal, state, data, environment, progress)
        if state.pending:
            _refuse_changes(plan, state.created)
            _record_resume(journal)
        return _run_stages(plan, journal, environment, listener)


def move_data(name: str, data: str, environment: Environment, progress: Progress) -> None:
    """Record where the data of a study have moved to, in MLflow too if it answers.

    Raises:
        UserError: The study does not exist or is running, or these are not its data.
    """
    with Journal.open(study_folder(environment, name)) as journal:
        plan = _reopened(journal, StudyState.replay(journal.events()), data, environment, progress)
        Follower(journal.folder, _tracker(plan, journal.folder, environment)).close(DRAIN_S)


def sync_study(name: str, environment: Environment) -> FollowerReport:
    """Send the records that MLflow lacks of a study that is not running.

    Raises:
        UserError: The study does not exist, or it is running, which records it already.
    """
    check_store(environment)
    with Journal.open(study_folder(environment, name)) as journal:
        plan = plan_of(journal.folder, StudyState.replay(journal.events()).created)
        follower = Follower(journal.folder, _tracker(plan, journal.folder, environment))
        return follower.close(DRAIN_S)


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
        journal.append(_creation(plan, target))
        for event in events[1:]:
            journal.append(event)


def plan_of(folder: Path, created: StudyCreated) -> StudyPlan:
    """Return the plan with which a study was created."""
    plan = StudyPlan.from_json(created.plan, file=str(folder / "journal.jsonl"))
    return replace(plan, data=found_place(plan.data, folder))


def moved_plan(
    folder: Path, created: StudyCreated, data: str, environment: Environment, progress: Progress
) -> StudyPlan:
    """Return the plan of a study with its data opened where they have moved to.

    Raises:
        UserError: The data cannot be read, or are not those of the study.
    """
    plan = reopen_data(placed(plan_of(folder, created), data, folder.name), environment, progress)
    if plan.data_digest != created.data_digest:
        raise UserError(
            f"study {folder.name!r} was started with other data than those in {data}: their digests differ",
            fix="give the folder to which its data have moved, or start another study with "
            f"{shell_line('--study', 'NEW', '--from', folder.name)}",
        )
    return plan


def _reopened(
    journal: Journal, state: StudyState, data: str | None, environment: Environment, progress: Progress
) -> StudyPlan:
    """Open the data of a study again, and record their place if they have moved to ``data``."""
    before, name = plan_of(journal.folder, state.created), journal.folder.name
    if data is None:
        return reopen_data(placed(before, before.data, name), environment, progress)
    plan = moved_plan(journal.folder, state.created, data, environment, progress)
    if plan.data != before.data:
        moved = DataMoved(data=stored_place(plan.data, journal.folder))
        journal.append(moved)
        state.apply(moved)
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


def _record_resume(journal: Journal) -> None:
    journal.append(StudyResumed(versions=versions()))
    if journal.dropped_bytes:
        journal.append(Noticed(message="the last line of the journal was incomplete and is ignored"))


def _stage_asked(plan: StudyPlan, request: StageRequest, environment: Environment) -> StageAsked:
    settings = stage_settings(plan, request)
    known = {}
    if request.warm_start is not None:
        known = known_scores(request.warm_start, plan.with_stage(request.name, settings), environment)
    return StageAsked(stage=request.name, settings=settings, start=request.start, known=known)


def _creation(plan: StudyPlan, folder: Path) -> StudyCreated:
    return StudyCreated(
        study=folder.name,
        plan={**plan.to_json(), "data": stored_place(plan.data, folder)},
        seed=plan.seed,
        data_digest=plan.data_digest,
        code_digest=code_digest(plan.study.task),
        versions=versions(),
    )


def _refuse_changes(plan: StudyPlan, created: StudyCreated) -> None:
    changed, name = [], created.study
    if plan.data_digest != created.data_digest:
        changed.append(f"the data in {plan.data}")
    if code_digest(plan.study.task) != created.code_digest:
        changed.append("the code of this project")
    if changed:
        raise UserError(
            f"{' and '.join(changed)} changed since study {name!r} started, so new scores would not be "
            "comparable",
            fix="restore the earlier state, or resume a copy of the study with the present one: "
            f"{shell_line('hpo', 'resume', name, '--fork', 'NEW')}",
        )


def _run_stages(
    plan: StudyPlan, journal: Journal, environment: Environment, listener: Listener
) -> SessionEnd:
    """Run the stages that have not ended, and record them in MLflow meanwhile."""
    state = StudyState.replay(journal.events())
    pending, has_ray, drain_s = state.pending, False, DRAIN_S
    follower = Follower(journal.folder, _tracker(plan, journal.folder, environment))
    listener(state)
    try:
        with _sigterm_as_ctrl_c(), ExitStack() as stack:
            for name in pending:
                run = StageRun(plan, name, journal, state, environment, listener)
                if run.needs_training and not has_ray:
                    stack.enter_context(_ray(plan, journal.folder, state, environment))
                    has_ray = True
                run.finish()
                if not run.complete:
                    break
    except KeyboardInterrupt:
        pass  # before or after the training, which ends in good order by itself
    except StorageError:
        drain_s = 0.0  # on a full disk MLflow has no room either
        raise
    finally:
        complete = not state.pending
        if pending and not complete:
            journal.append(StudyInterrupted(reason="stopped before the end"))
        tracking = follower.close(drain_s)
    return SessionEnd(state, complete, tracking)


@contextmanager
def _sigterm_as_ctrl_c() -> Iterator[None]:
    """Handle SIGTERM, which is sent when a machine shuts down, like Ctrl-C."""
    before = signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


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
        return ray_session(cpus=cpus, gpus=1 if gpu else 0)
    needs = NodeRequirements(
        task=plan.study.task,
        threads=max(stage.threads for stage in each_stage),
        gpu=gpu,
        memory_bytes=max(least_memory_bytes(plan, stage) for stage in each_stage),
        splits=(plan.train, plan.valid),
        study=folder,
    )
    return cluster_session(environment.ray_address, needs)


def _tracker(plan: StudyPlan, folder: Path, environment: Environment) -> MlflowTracker:
    return MlflowTracker(
        environment,
        dataset=plan.dataset,
        fixed={
            name: _whole(value) if "." in name else value for name, value in plan.own_configuration().items()
        },
        files_of=lambda trial: [trial_folder(folder, trial) / name for name in (BEST, CONFIG)],
        importance_of=stage_importance,
        figures_of=lambda state, stage: figure_files(plan, state, stage),
    )


def _whole(value: Value) -> Value:
    """Convert whole floats to integers, as the paper writes frames."""
    return int(value) if isinstance(value, float) and value.is_integer() else value
