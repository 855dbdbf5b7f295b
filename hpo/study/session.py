"""Sessions: start, continue, resume and fork studies, with one process and one journal per study."""

import shutil
import signal
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from hpo.config.environment import Environment
from hpo.journal.events import Event, Noticed, StageAsked, StudyCreated, StudyInterrupted, StudyResumed, Value
from hpo.journal.journal import Journal, read_journal
from hpo.journal.results import StudyState
from hpo.schedule.cluster import NodeRequirements, cluster_session
from hpo.schedule.gpus import local_gpus
from hpo.schedule.tuner import ray_session
from hpo.study.estimate import least_memory_bytes
from hpo.study.folders import study_folder
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
from hpo.tasks.base.splits import Progress
from hpo.tracking.follower import Follower, FollowerReport
from hpo.tracking.mlflow_tracker import MlflowTracker
from hpo.tracking.store import check_store
from hpo.trial.run import BEST, CONFIG
from model.errors import StorageError, UserError

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
    asked = [event for request in stages for event in _stage_events(plan, request, environment)]
    with Journal.create(study_folder(environment, name)) as journal:
        journal.append(_creation(plan, name))
        for event in asked:
            journal.append(event)
        return _run_stages(plan, journal, environment, listener)


def continue_study(
    name: str,
    stages: Sequence[StageRequest],
    environment: Environment,
    progress: Progress,
    listener: Listener,
) -> SessionEnd:
    """Run more stages of a study, after the unfinished ones.

    Raises:
        UserError: The study does not exist, is running elsewhere or already has such a stage, or its data or
            the code have changed.
    """
    check_store(environment)
    with Journal.open(study_folder(environment, name)) as journal:
        state = StudyState.replay(journal.events())
        plan = reopen_data(plan_of(journal.folder, state.created), environment, progress)
        _refuse_changes(plan, state.created, name)
        for request in stages:
            if request.name in state.asked:
                raise UserError(
                    f"study {name!r} already has a stage {request.name}",
                    fix=f"show it with hpo best {name}, or start another study with --study NEW --from "
                    f"{name}",
                )
        asked = [event for request in stages for event in _stage_events(plan, request, environment)]
        _record_resume(journal)
        for event in asked:
            journal.append(event)
        return _run_stages(plan, journal, environment, listener)


def resume_study(name: str, environment: Environment, progress: Progress, listener: Listener) -> SessionEnd:
    """Resume a study; unfinished trials come first and continue from their checkpoints.

    For a complete study, only the records that MLflow lacks are sent.

    Raises:
        UserError: The study does not exist or is running elsewhere, or its data or the code have changed.
    """
    check_store(environment)
    with Journal.open(study_folder(environment, name)) as journal:
        state = StudyState.replay(journal.events())
        plan = plan_of(journal.folder, state.created)
        if state.pending:
            plan = reopen_data(plan, environment, progress)
            _refuse_changes(plan, state.created, name)
            _record_resume(journal)
        return _run_stages(plan, journal, environment, listener)


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


def fork_study(name: str, new_name: str, environment: Environment, progress: Progress) -> None:
    """Copy a study to a new name, for the present code and data.

    Its trials keep their results; ``resume_study`` continues from there.

    Raises:
        UserError: The study does not exist, or the new name is taken.
    """
    source, target = study_folder(environment, name), study_folder(environment, new_name)
    events = read_journal(source).events
    created = StudyState.replay(events).created
    plan = reopen_data(plan_of(source, created), environment, progress)
    with Journal.create(target) as journal:
        if (source / "trials").is_dir():
            shutil.copytree(source / "trials", target / "trials")
        journal.append(_creation(plan, new_name))
        for event in events[1:]:
            journal.append(event)


def plan_of(folder: Path, created: StudyCreated) -> StudyPlan:
    """Return the plan with which a study was created."""
    return StudyPlan.from_json(created.plan, file=str(folder / "journal.jsonl"))


def _record_resume(journal: Journal) -> None:
    journal.append(StudyResumed(versions=versions()))
    if journal.dropped_bytes:
        journal.append(Noticed(message="the last line of the journal was incomplete and is ignored"))


def _stage_events(plan: StudyPlan, request: StageRequest, environment: Environment) -> list[Event]:
    """Return the request for a stage, and a message if measurements decided how many trials run at a time."""
    settings = stage_settings(plan, request, environment)
    known = {}
    if request.warm_start is not None:
        known = known_scores(request.warm_start, plan.with_stage(request.name, settings), environment)
    asked = StageAsked(stage=request.name, settings=settings, start=request.start, known=known)
    given = {**plan.study.stages.named(request.name).model_dump(), **request.options}
    if plan.device == "cpu" or (given["concurrent"] or "auto") != "auto":
        return [asked]
    together = f"{settings['concurrent']} trials at a time, {settings['array']} in one process"
    return [asked, Noticed(message=f"stage {request.name}: {together}; --concurrent N overrides it")]


def _creation(plan: StudyPlan, name: str) -> StudyCreated:
    return StudyCreated(
        study=name,
        plan=plan.to_json(),
        seed=plan.seed,
        data_digest=plan.data_digest,
        code_digest=code_digest(plan.study.task),
        versions=versions(),
    )


def _refuse_changes(plan: StudyPlan, created: StudyCreated, name: str) -> None:
    changed = []
    if plan.data_digest != created.data_digest:
        changed.append(f"the data in {plan.data}")
    if code_digest(plan.study.task) != created.code_digest:
        changed.append("the code of this project")
    if changed:
        raise UserError(
            f"{' and '.join(changed)} changed since study {name!r} started, so new scores would not be "
            "comparable",
            fix="restore the earlier state, or resume a copy of the study with the present one: "
            f"hpo resume {name} --fork NEW",
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
        return ray_session(cpus=cpus, gpus=local_gpus() if gpu else 0)
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
