"""Reopening of a study: its data, also where they have moved to, and what is not as it was."""

import socket
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from hpo.config.environment import Environment
from hpo.journal.events import DataMoved, Event, Noticed, StageRetried, StudyResumed
from hpo.journal.journal import Journal
from hpo.journal.results import StudyState
from hpo.study.folders import stored_place
from hpo.study.plan import StudyPlan, plan_of, reopen_data
from hpo.tasks.base.places import is_uri
from hpo.tasks.base.splits import Progress
from hpo.tasks.base.versions import code_digest, own_code_names, versions
from model.errors import UserError
from model.shell import shell_line

SHOWN_HOSTS = 3
"""Number of machines that a note names."""


def reopen(
    journal: Journal, state: StudyState, data: str | None, environment: Environment, progress: Progress
) -> StudyPlan:
    """Open the data of a study again, and record their place if they have moved to ``data``.

    Raises:
        UserError: The data cannot be read, or those in ``data`` are not those of the study.
    """
    before = plan_of(journal.folder, state.created)
    plan = reopened(journal.folder, state, data, environment, progress)
    if plan.data != before.data:
        moved = DataMoved(data=stored_place(plan.data, journal.folder))
        journal.append(moved)
        state.apply(moved)
    return plan


def reopened(
    folder: Path, state: StudyState, data: str | None, environment: Environment, progress: Progress
) -> StudyPlan:
    """Return the plan of the study in ``folder`` with its data opened, in ``data`` if they have moved.

    Raises:
        UserError: The data cannot be read, or those in ``data`` are not those of the study.
    """
    plan = plan_of(folder, state.created)
    plan = reopen_data(placed(plan, data or plan.data, folder.name), environment, progress)
    if data is not None and plan.data_digest != state.created.data_digest:
        raise UserError(
            f"study {folder.name!r} was started with other data than those in {data}: their digests differ",
            fix="give the folder to which its data have moved, or start a new study on these",
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
            fix=f"say where they are: {shell_line('hpo', 'resume', name, '--data', 'FOLDER')}",
        )
    return replace(plan, data=data)


def refuse_changes(plan: StudyPlan, state: StudyState) -> None:
    """Check that data and code are those with which the study was started.

    Raises:
        UserError: They have changed.
    """
    created, changed = state.created, []
    if plan.data_digest != created.data_digest:
        changed.append(f"the data in {plan.data}")
    if code_digest(plan.study.task) != created.code_digest:
        changed.append(changed_code(plan))
    if changed:
        raise changed_error(changed, state)


def changed_code(plan: StudyPlan) -> str:
    """Return what may have changed where the digests of the code differ: ``a.py or the code of hpo``."""
    return " or ".join([*own_code_names(plan.study.task), "the code of hpo"])


def changed_error(changed: Sequence[str], state: StudyState) -> UserError:
    """Return the error for a study that cannot continue because things have changed.

    Args:
        changed: Names of the things.
        state: The study.
    """
    study, has_failed = state.created.study, any(state.failed_trials(stage) for stage in state.stages)
    again = ("--retry-failed",) if has_failed else ()
    return UserError(
        f"{' and '.join(changed)} changed since study {study!r} started, so new scores would not be "
        "comparable",
        fix="restore the earlier state, or resume a copy of the study with the present one: "
        f"{shell_line('hpo', 'resume', study, '--fork', 'NEW', *again)}",
    )


def retried_stages(state: StudyState) -> list[StageRetried]:
    """Return the events with which the failed trials of all stages are trained again.

    Raises:
        UserError: No trial has failed.
    """
    stages = [stage for stage in state.stages if state.failed_trials(stage)]
    if not stages:
        name = state.created.study
        raise UserError(
            f"study {name!r} has no failed trial to train again",
            fix=f"see its trials with {shell_line('hpo', 'status', name)}",
        )
    return [StageRetried(stage=stage) for stage in stages]


def resumption(journal: Journal, state: StudyState, environment: Environment) -> list[Event]:
    """Return the events of a new session of a study, with notes on what is not as it was."""
    notes = []
    if journal.dropped_bytes:
        notes.append("the last line of the journal was incomplete and is ignored")
    hosts = sorted({trial.host for trial in state.trials.values()} - {"", socket.gethostname()})
    if hosts and environment.ray_address is None:
        shown = f"{', '.join(hosts[:SHOWN_HOSTS])}{' and others' if len(hosts) > SHOWN_HOSTS else ''}"
        notes.append(
            f"trials of this study ran on {shown}; now they run on this machine (on a Ray cluster: with "
            "--ray-address HOST:PORT)"
        )
    return [StudyResumed(versions=versions()), *(Noticed(message=note) for note in notes)]


def foreseen(state: StudyState, events: Iterable[Event]) -> StudyState:
    """Return ``state``, changed as if a session continued its study now, with these events.

    Nothing is recorded. Without the first event, the time since the last session would count as running time.
    """
    for event in (StudyResumed(versions=dict(state.versions)), *events):
        state.apply(event)
    return state
