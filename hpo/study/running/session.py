"""Sessions: start, continue, resume and fork studies, with one process and one journal per study."""

import contextlib
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from hpo.config.environment import Environment
from hpo.journal.continuing import resume_command
from hpo.journal.events import (
    BudgetSet,
    DataMoved,
    Event,
    StageExtended,
    StudyCreated,
    StudyRenamed,
)
from hpo.journal.journal import Journal, read_journal, stored_creation, writer_of
from hpo.journal.results import StudyState, stored_state
from hpo.study.folders import make_free, refuse_copy, study_folder
from hpo.study.plan import StageRequest, StudyPlan, plan_of, reopen_data
from hpo.study.reopening import (
    foreseen,
    placed,
    refuse_changes,
    reopen,
    reopened,
    resumption,
    retried_stages,
)
from hpo.study.running.budget import begun, next_budget, require_time
from hpo.study.running.pending_stages import DRAIN_S, SessionEnd, record, run_pending_stages, tracker_of
from hpo.study.running.preparing import PreparedStage, creation, prepare_more, with_limits
from hpo.study.running.runner import Listener
from hpo.study.running.stop_requests import WHOLE_STUDY, StopRequests
from hpo.tasks.base.splits import Progress
from hpo.tracking.deletion import delete_experiment
from hpo.tracking.follower import Follower, FollowerReport
from hpo.tracking.store import check_store
from hpo.trial.files import trial_folder
from model.errors import StorageError, UserError
from model.shell import shell_line


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
    created = creation(plan, study_folder(environment, name))
    asked = [event for stage in stages for event in stage.events]
    with Journal.create(study_folder(environment, name)) as journal:
        try:
            journal.append(created, *asked, *begun(budget))
            return run_pending_stages(plan, journal, stored_state(journal.folder), environment, listener)
        except Exception as error:
            _discard_if_empty(journal, created.identity, environment, error)
            raise


def _discard_if_empty(journal: Journal, identity: str, environment: Environment, error: Exception) -> None:
    """Remove a study that could not start, before it becomes the one that commands take by default."""
    events = journal.events()
    if events and StudyState.replay(events).trials:
        return
    shutil.rmtree(journal.folder, ignore_errors=True)
    if events:  # MLflow may have it
        with contextlib.suppress(UserError):
            delete_experiment(environment, identity)
    if isinstance(error, UserError) and "fix" in error.details:
        for cluster in (environment.ray_address, None):  # not every error knows the cluster
            resume = resume_command(journal.folder.name, cluster=cluster)
            error.details["fix"] = str(error.details["fix"]).replace(resume, "repeat the command")


@contextlib.contextmanager
def _session(name: str, environment: Environment) -> Iterator[Journal]:
    """Open the journal of a study that is about to run, without a request to stop an earlier session."""
    with Journal.open(study_folder(environment, name)) as journal:
        # At once, because preparing takes minutes, in which the user may ask this session to stop.
        StopRequests(journal.folder).remove(WHOLE_STUDY)
        yield journal


def _opened(journal: Journal) -> StudyState:
    """Return the state of a study that this process may change, and record its name if it has a new one.

    Raises:
        UserError: Its journal is damaged, or it is the copy of another study's folder.
    """
    state = stored_state(journal.folder)
    recorded = StudyState.replay(stored_creation(journal.folder)).created.study
    refuse_copy(journal.folder, recorded)
    if recorded != state.created.study:
        record(journal, state, [StudyRenamed(study=state.created.study)])
    return state


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
    """Run more stages of a study, or more trials of its search, after what is unfinished.

    It runs for as long as ``budget`` allows; a search whose budget is over ends with the trials that it has.
    ``data`` is where the data have moved to.

    Raises:
        UserError: The study does not exist or is running elsewhere, it already has such a stage, no trial is
            added to its search, an option of it cannot change, or the data or the code have changed.
    """
    with _session(name, environment) as journal:
        state = _opened(journal)
        plan = reopen(journal, state, data, environment, progress)
        stages = prepare_more(plan, requests, state, environment, progress)
        added = _added(stages, state)
        record(
            journal, state, [*resumption(journal, state, environment), *added, *next_budget(state, budget)]
        )
        return run_pending_stages(plan, journal, state, environment, listener)


def _added(stages: Sequence[PreparedStage], state: StudyState) -> list[Event]:
    """Return the events with which stages enter the journal, or the search of a study gets more trials."""
    return [event for stage in stages for event in _events_of(stage, state)]


def _events_of(stage: PreparedStage, state: StudyState) -> list[Event]:
    plan, name = stage.plan, stage.asked.stage
    if name not in state.stages:
        return stage.events
    extended = StageExtended(
        stage=name,
        settings=dict(stage.asked.settings),
        trials=stage.trials,
        space=plan.task.varied(plan.study, name, plan.shape),
    )
    return [extended]


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
        stages = prepare_more(plan, requests, state, environment, progress)
        events = [*_added(stages, state), *next_budget(state, budget)]
        return with_limits(stages, foreseen(state, events))


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
    with _session(name, environment) as journal:
        state = _opened(journal)
        retried = retried_stages(state) if retry_failed else []
        if retried:
            again = foreseen(stored_state(journal.folder), retried)
            options = ["--retry-failed"]
            require_time(again, budget, options=options, cluster=environment.ray_address)
        else:
            require_time(state, budget, cluster=environment.ray_address)
        plan = plan_of(journal.folder, state.created)
        is_resumed = bool(state.pending or retried)
        if is_resumed or data is not None:
            plan = reopen(journal, state, data, environment, progress)
        if is_resumed:
            refuse_changes(plan, state)
            failed = [trial.trial for event in retried for trial in state.failed_trials(event.stage)]
            record(journal, state, [*resumption(journal, state, environment), *retried, *begun(budget)])
            for trial in failed:  # what the failed attempt left is not of the next one
                shutil.rmtree(trial_folder(journal.folder, trial), ignore_errors=True)
        return run_pending_stages(plan, journal, state, environment, listener)


def move_data(name: str, data: str, environment: Environment, progress: Progress) -> None:
    """Record where the data of a study have moved to, in MLflow too if it answers.

    Raises:
        UserError: The study does not exist or is running, or these are not its data.
    """
    with Journal.open(study_folder(environment, name)) as journal:
        plan = reopen(journal, _opened(journal), data, environment, progress)
        Follower(journal.folder, tracker_of(plan, journal.folder, environment)).start().close(DRAIN_S)


def sync_study(name: str, environment: Environment) -> FollowerReport:
    """Send the records that MLflow lacks of a study that is not running.

    Raises:
        UserError: The study does not exist, or it is running, which records it already.
    """
    check_store(environment)
    with Journal.open(study_folder(environment, name)) as journal:
        plan = plan_of(journal.folder, _opened(journal).created)
        follower = Follower(journal.folder, tracker_of(plan, journal.folder, environment))
        return follower.start().close(DRAIN_S)


def fork_study(
    name: str, new_name: str, environment: Environment, progress: Progress, *, data: str | None = None
) -> None:
    """Copy a study to a new name, for the present code and data; ``data`` is where its data are now.

    Its trials keep their results; ``resume_study`` continues from there.

    Raises:
        UserError: The study does not exist or is running, the new name is taken, or the trials cannot be
            copied.
    """
    source, target = study_folder(environment, name), study_folder(environment, new_name)
    make_free(environment, new_name)
    if writer := writer_of(source):
        raise UserError(f"study {name!r} is being run by {writer}", fix=shell_line("hpo", "stop", name))
    events = read_journal(source).events
    created = StudyState.replay(events).created
    plan = plan_of(source, created)
    plan = placed(plan, data or plan.data, name)
    plan = reopen_data(plan, environment, progress)
    # Under a hidden name, so that an interrupted copy is not taken for a study.
    unfinished = target.with_name(f".{new_name}.unfinished")
    with _removed_unless_renamed(unfinished), Journal.create(unfinished) as journal:
        if (source / "trials").is_dir():
            shutil.copytree(source / "trials", unfinished / "trials")
        journal.append(*_copied(events, creation(plan, target)))
        unfinished.rename(target)


def _copied(events: Sequence[Event], created: StudyCreated) -> Iterator[Event]:
    """Yield the events of a copy: ``created`` has its name and place, and its time is that of the source."""
    yield replace(created, at=events[0].at)
    yield from (event for event in events[1:] if not isinstance(event, StudyRenamed | DataMoved))


@contextlib.contextmanager
def _removed_unless_renamed(folder: Path) -> Iterator[None]:
    """Remove what an interrupted copy left in a folder before the context, and after an error in it."""
    if writer_of(folder) is None:
        shutil.rmtree(folder, ignore_errors=True)
    try:
        yield
    except OSError as error:
        reason = error.strerror or "the trials of the study changed meanwhile"
        raise StorageError(f"cannot copy the trials to {folder.parent}: {reason}") from error
    finally:
        if writer_of(folder) is None:
            shutil.rmtree(folder, ignore_errors=True)
