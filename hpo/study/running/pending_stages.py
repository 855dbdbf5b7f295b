"""The stages of a study that have not ended: trained with Ray and recorded in MLflow, one after the other."""

from collections.abc import Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from enum import Enum, auto
from pathlib import Path

from hpo.config.environment import Environment
from hpo.journal.events import Event, StudyInterrupted, Value
from hpo.journal.journal import Journal
from hpo.journal.results import StudyState
from hpo.schedule.cluster import NodeRequirements, cluster_session
from hpo.schedule.gpus import local_gpus
from hpo.schedule.local_ray import ray_session
from hpo.study.devices import available_cpus
from hpo.study.estimate import least_memory_bytes
from hpo.study.plan import StudyPlan
from hpo.study.recorded.results import figure_files, stage_importance, winner
from hpo.study.running.runner import Listener
from hpo.study.running.signals import signals_as_ctrl_c
from hpo.study.running.stage import StageRun
from hpo.study.running.stop_requests import BY_USER, WHOLE_STUDY, StopRequests
from hpo.tracking.follower import Follower, FollowerReport
from hpo.tracking.mlflow_tracker import MlflowTracker
from hpo.trial.files import BEST, CONFIG, trial_folder
from model.errors import StorageError, UserError
from model.shell import shell_line

ALL_FAIL = "all trials fail for the same reason"
"""Reason for which a study is interrupted."""
DRAIN_S = 60.0
"""Seconds to wait for MLflow at the end of a session; the next resume sends the remaining records."""
INTERRUPTED_DRAIN_S = 5.0
"""The same for a session that is interrupted or fails: whoever stopped it waits for its end."""


class Ending(Enum):
    """Ways in which a session ends."""

    COMPLETE = auto()
    """All stages have ended."""
    ALL_FAIL = auto()
    """All trials failed for the same reason."""
    BUDGET_OVER = auto()
    INTERRUPTED = auto()


@dataclass(frozen=True, slots=True)
class SessionEnd:
    """State of a study at the end of a session."""

    state: StudyState
    tracking: FollowerReport
    ran: Sequence[str]
    """Stages that had not ended when the session began; none if the study was complete."""

    @property
    def without_score(self) -> list[str]:
        """Stages of the session that have ended without a score.

        For a session of a complete study, which runs nothing, the last stage counts.
        """
        stages = self.ran or list(self.state.stages)[-1:]
        return [name for name in stages if name not in self.state.pending and not self.state.ranked(name, 1)]

    @property
    def ending(self) -> Ending:
        """Way in which the session ended."""
        if not self.state.pending:
            return Ending.COMPLETE
        if self.state.interrupted == ALL_FAIL:
            return Ending.ALL_FAIL
        return Ending.BUDGET_OVER if self.state.budget_over else Ending.INTERRUPTED


def run_pending_stages(
    plan: StudyPlan, journal: Journal, state: StudyState, environment: Environment, listener: Listener
) -> SessionEnd:
    """Run the stages that have not ended, and record them in MLflow meanwhile."""
    pending, drain_s, reason = state.pending, DRAIN_S, ""
    follower = Follower(journal.folder, tracker_of(plan, journal.folder, environment))
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
            try:
                if pending and state.pending:
                    drain_s = min(drain_s, INTERRUPTED_DRAIN_S)
                    why = reason or _why_stopped(journal.folder, state)
                    record(journal, state, [StudyInterrupted(reason=why)])
            finally:
                # Also after a failed write, or the follower would keep the next one of this process waiting.
                tracking = follower.close(drain_s)
    return SessionEnd(state, tracking, ran=pending)


def _why_stopped(folder: Path, state: StudyState) -> str:
    requests = StopRequests(folder)
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
            if StopRequests(journal.folder).has(WHOLE_STUDY):
                break
            run = StageRun(
                plan,
                name,
                journal,
                state,
                environment,
                listener,
                before_proposal=follower.let_catch_up,
            )
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
            if not run.complete:
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


def tracker_of(plan: StudyPlan, folder: Path, environment: Environment) -> MlflowTracker:
    """Return what records the study in ``folder`` in MLflow."""
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


def record(journal: Journal, state: StudyState, events: Sequence[Event]) -> None:
    """Write events to the journal and apply them to the state, as a replay of the journal would."""
    journal.append(*events)
    for event in events:
        state.apply(event)
