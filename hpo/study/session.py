"""Starting, resuming and forking studies: one process, one journal, one stage at a time."""

import shutil
from dataclasses import dataclass
from pathlib import Path

from hpo.config.environment import Environment
from hpo.config.study_file import space_of
from hpo.journal.events import StageFinished, StageStarted, StudyCreated, StudyInterrupted, StudyResumed
from hpo.journal.journal import Journal, read_journal
from hpo.journal.results import StudyState
from hpo.schedule.tuner import ray_session, run_trials
from hpo.study.folders import study_folder
from hpo.study.plan import Progress, StudyPlan, available_cpus, reopen_data, threads_per_trial
from hpo.study.runner import Listener, StageRunner, trial_folder
from hpo.study.versions import code_digest, versions
from hpo.tracking.follower import Follower, FollowerReport
from hpo.tracking.mlflow_tracker import MlflowTracker
from hpo.tracking.store import check_store
from hpo.trial.run import BEST, CONFIG
from model.errors import UserError

DRAIN_S = 60.0
"""How long the end of a study waits for MLflow; what is left is recorded by the next resume."""


@dataclass(frozen=True, slots=True)
class SessionEnd:
    """How a process left a study."""

    state: StudyState
    complete: bool
    """False when it was interrupted."""
    tracking: FollowerReport


def start_study(plan: StudyPlan, name: str, environment: Environment, listener: Listener) -> SessionEnd:
    """Run a new study to its end.

    Raises:
        UserError: The name is taken, or the MLflow store cannot be used.
    """
    check_store(environment)
    with Journal.create(study_folder(environment, name)) as journal:
        journal.append(_creation(plan, name))
        return _run_stage(plan, journal, environment, listener)


def resume_study(name: str, environment: Environment, progress: Progress, listener: Listener) -> SessionEnd:
    """Go on with a study: its unfinished trials first, from their checkpoints.

    Of a study that is complete only MLflow is brought up to date, should it have been away.

    Raises:
        UserError: No such study, it is running elsewhere, or data or code have changed.
    """
    check_store(environment)
    with Journal.open(study_folder(environment, name)) as journal:
        state = StudyState.replay(journal.events())
        plan = plan_of(journal.folder, state.created)
        if not _is_finished(state, plan.stage):
            plan = reopen_data(plan, environment, progress)
            _refuse_changes(plan, state.created, name)
            journal.append(StudyResumed(versions=versions()))
        return _run_stage(plan, journal, environment, listener)


def fork_study(name: str, new_name: str, environment: Environment, progress: Progress) -> None:
    """Copy a study under a new name that accepts the code and data of today.

    Its trials keep what they reached; ``resume_study`` goes on from there.

    Raises:
        UserError: No such study, or the new name is taken.
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
    """The plan that a study was created with."""
    return StudyPlan.from_json(created.plan, file=str(folder / "journal.jsonl"))


def _creation(plan: StudyPlan, name: str) -> StudyCreated:
    return StudyCreated(
        study=name,
        stage=plan.stage,
        plan=plan.to_json(),
        seed=plan.seed,
        data_digest=plan.data_digest,
        code_digest=code_digest(),
        versions=versions(),
    )


def _refuse_changes(plan: StudyPlan, created: StudyCreated, name: str) -> None:
    changed = []
    if plan.data_digest != created.data_digest:
        changed.append(f"the data in {plan.data}")
    if code_digest() != created.code_digest:
        changed.append("the code of this project")
    if changed:
        raise UserError(
            f"{' and '.join(changed)} changed since study {name!r} began: its scores could not be compared",
            fix=f"go back to what it was, or take its trials over as they are: hpo resume {name} --fork NEW",
        )


def _run_stage(plan: StudyPlan, journal: Journal, environment: Environment, listener: Listener) -> SessionEnd:
    _begin_stage(plan, journal)
    state = StudyState.replay(journal.events())
    runner = StageRunner(plan, journal, state, listener)
    finished = _is_finished(state, plan.stage)
    follower = Follower(journal.folder, _tracker(plan, journal.folder, environment))
    listener(state)
    try:
        if not runner.complete:
            _train(plan, runner, journal.folder)
    finally:
        if not finished:
            _close_stage(plan, runner, journal)
        tracking = follower.close(DRAIN_S)
    return SessionEnd(runner.state, runner.complete, tracking)


def _is_finished(state: StudyState, stage: str) -> bool:
    return stage in state.stages and state.stages[stage].finished_at is not None


def _begin_stage(plan: StudyPlan, journal: Journal) -> None:
    """Write that the stage starts, unless it did before a restart."""
    if plan.stage not in StudyState.replay(journal.events()).stages:
        stage = plan.study.stages[plan.stage]
        space = space_of(stage).describe()
        journal.append(StageStarted(stage=plan.stage, space=space, trials=stage.trials))


def _train(plan: StudyPlan, runner: StageRunner, folder: Path) -> None:
    concurrent = plan.study.stages[plan.stage].concurrent
    gpus = 1 if plan.device == "cuda" else 0
    threads = threads_per_trial(concurrent)
    with ray_session(cpus=max(available_cpus(), concurrent * threads), gpus=gpus):
        run_trials(
            runner, concurrent=concurrent, threads=threads, gpu_share=gpus / concurrent, storage=folder
        )


def _close_stage(plan: StudyPlan, runner: StageRunner, journal: Journal) -> None:
    """Write how the stage ended, or that it did not."""
    if runner.complete:
        best = runner.state.best(1, stage=plan.stage)
        journal.append(StageFinished(stage=plan.stage, best_trial=best[0].trial if best else ""))
    else:
        journal.append(StudyInterrupted(reason="stopped before the end"))


def _tracker(plan: StudyPlan, folder: Path, environment: Environment) -> MlflowTracker:
    fixed = plan.study.hyperparameters.model_dump()
    # In frames, as the paper writes K and r.
    zones = {
        f"K{number}.{name}": plan.shape.frame_rate.to_frames(value)
        for name in plan.shape.classes
        for number, value in enumerate(plan.study.zones_of(name), start=1)
    }
    return MlflowTracker(
        environment,
        dataset=plan.dataset,
        fixed={**fixed, **zones},
        files_of=lambda trial: [trial_folder(folder, trial) / name for name in (BEST, CONFIG)],
    )
