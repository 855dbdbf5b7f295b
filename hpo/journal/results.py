"""Where a study stands: the state that follows from its events."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Self

from hpo.journal.events import (
    Event,
    Noticed,
    StageAsked,
    StageFinished,
    StageStarted,
    StudyCreated,
    StudyInterrupted,
    StudyResumed,
    TrialAsked,
    TrialFailed,
    TrialFinished,
    TrialReported,
    TrialStarted,
    TrialStopped,
    TrialTested,
    Value,
)
from model.errors import UserError


class TrialStatus(StrEnum):
    """How far a trial came; the last three are final."""

    ASKED = "asked"
    RUNNING = "running"
    FINISHED = "finished"
    STOPPED = "stopped"
    """Early, since it was poor beside others at the same epoch."""
    FAILED = "failed"


@dataclass(slots=True, kw_only=True)
class TrialState:
    """One trial so far."""

    trial: str
    stage: str
    parameters: Mapping[str, Value]
    seed: int
    replicate: int
    role: str
    asked_at: datetime
    status: TrialStatus = TrialStatus.ASKED
    host: str = ""
    device: str = ""
    reports: dict[int, TrialReported] = field(default_factory=dict)
    """By epoch. A trial that goes on from an older checkpoint reports epochs again: the first report
    stands, since decisions may have been taken on it."""
    started_at: datetime | None = None
    """The first start; a trial that went on after a restart keeps it."""
    ended_at: datetime | None = None
    score: float | None = None
    """In [0, 1], of its best validation, once finished or stopped."""
    best_epoch: int | None = None
    duration_s: float | None = None
    reason: str | None = None
    """Why it failed."""
    tested: Mapping[str, float] | None = None
    """Metrics on the test split, once it was opened for the trial."""

    @property
    def has_ended(self) -> bool:
        """Finished, stopped or failed."""
        return self.status in (TrialStatus.FINISHED, TrialStatus.STOPPED, TrialStatus.FAILED)

    @property
    def epochs_trained(self) -> int:
        """Up to its latest validation."""
        return max(self.reports, default=0)


@dataclass(slots=True, kw_only=True)
class StageState:
    """One stage so far."""

    stage: str
    space: Mapping[str, Any]
    trials: int
    """How many trials it plans at most."""
    epochs: int
    start: Mapping[str, Value]
    """The configuration it starts from."""
    started_at: datetime
    finished_at: datetime | None = None
    best_trial: str | None = None
    """Chosen at its end; None before, and when no trial finished."""
    chosen: Mapping[str, Value] = field(default_factory=dict)
    """The configuration it hands on; empty before its end."""
    role: str = ""
    """Of the trials with that configuration."""


@dataclass(slots=True, kw_only=True)
class StudyState:
    """A study so far; feed it with ``apply``, or start from a whole journal with ``replay``."""

    created: StudyCreated
    versions: Mapping[str, str]
    """Of the process that ran it last."""
    asked: dict[str, StageAsked] = field(default_factory=dict)
    """Stages that were asked for, in order."""
    stages: dict[str, StageState] = field(default_factory=dict)
    """In the order they started."""
    trials: dict[str, TrialState] = field(default_factory=dict)
    """In the order they were asked."""
    resumed: int = 0
    """How many times it was taken up again."""
    interrupted: str | None = None
    """Why it was stopped, when it was and has not been resumed since."""
    notes: list[str] = field(default_factory=list)
    """What a person should know of it, in the order it was noticed."""
    updated_at: datetime

    @classmethod
    def replay(cls, events: Iterable[Event]) -> Self:
        """The state after ``events``.

        Raises:
            UserError: The first event is not the study's creation, or one tells of an unknown trial.
        """
        remaining = iter(events)
        created = next(remaining, None)
        if not isinstance(created, StudyCreated):
            raise UserError("the journal does not begin with the creation of a study")
        state = cls(created=created, versions=created.versions, updated_at=created.at)
        for event in remaining:
            state.apply(event)
        return state

    def apply(self, event: Event) -> bool:
        """Take one more event in; what has begun or ended stays as it began or ended.

        Returns:
            Whether the event told anything new. A trial that goes on from an older checkpoint repeats
            reports, and a study that goes on may start its stage again.

        Raises:
            UserError: The event tells of a trial or stage that never began.
        """
        self.updated_at = event.at
        match event:
            case StudyResumed():
                self.versions, self.interrupted, self.resumed = event.versions, None, self.resumed + 1
            case StudyInterrupted():
                self.interrupted = event.reason
            case Noticed():
                self.notes.append(event.message)
            case StageAsked():
                return self.asked.setdefault(event.stage, event) is event
            case StageStarted():
                return self._start_stage(event)
            case StageFinished():
                self._finish_stage(event)
            case TrialAsked():
                return self._ask(event)
            case TrialTested():
                self._trial(event.trial).tested = event.metrics
            case TrialStarted() | TrialReported() | TrialFinished() | TrialStopped() | TrialFailed():
                return _advance(self._trial(event.trial), event)
        return True

    def best(self, count: int, *, stage: str | None = None) -> list[TrialState]:
        """The ``count`` best trials, highest score first, the earlier asked first among equals.

        Trials that were stopped early come after all that finished: a stage chooses one of them only when
        there is no other.
        """
        scored = [
            trial
            for trial in self.trials.values()
            if trial.score is not None and math.isfinite(trial.score) and stage in (None, trial.stage)
        ]
        rank = {trial.trial: (trial.status is TrialStatus.STOPPED, -(trial.score or 0.0)) for trial in scored}
        return sorted(scored, key=lambda trial: rank[trial.trial])[:count]

    def counts(self, *, stage: str | None = None) -> dict[TrialStatus, int]:
        """How many trials stand where; every status is a key."""
        statuses = [trial.status for trial in self.trials.values() if stage in (None, trial.stage)]
        return {status: statuses.count(status) for status in TrialStatus}

    @property
    def pending(self) -> list[str]:
        """Stages that were asked for and have not ended, in order."""
        return [name for name in self.asked if name not in self.stages or not self.stages[name].finished_at]

    def trials_of(self, stage: str) -> list[TrialState]:
        """The trials of one stage, in the order they were asked."""
        return [trial for trial in self.trials.values() if trial.stage == stage]

    def _finish_stage(self, event: StageFinished) -> None:
        stage = self._stage(event.stage)
        stage.finished_at, stage.best_trial = event.at, event.best_trial or None
        stage.chosen, stage.role = event.chosen, event.role

    def _start_stage(self, event: StageStarted) -> bool:
        if event.stage in self.stages:
            return False
        self.stages[event.stage] = StageState(
            stage=event.stage,
            space=event.space,
            trials=event.trials,
            epochs=event.epochs,
            start=event.start,
            started_at=event.at,
        )
        return True

    def _ask(self, event: TrialAsked) -> bool:
        if event.trial in self.trials:
            return False
        self.trials[event.trial] = TrialState(
            trial=event.trial,
            stage=self._stage(event.stage).stage,
            parameters=event.parameters,
            seed=event.seed,
            replicate=event.replicate,
            role=event.role,
            asked_at=event.at,
        )
        return True

    def _stage(self, name: str) -> StageState:
        if name not in self.stages:
            raise UserError(f"the journal tells of stage {name!r}, which never started")
        return self.stages[name]

    def _trial(self, name: str) -> TrialState:
        if name not in self.trials:
            raise UserError(f"the journal tells of trial {name!r}, which was never asked")
        return self.trials[name]


def scores_by_role(trials: Sequence[TrialState]) -> dict[str, dict[int, float]]:
    """Role -> replicate -> score of the finished trials, roles in the order they were asked."""
    table: dict[str, dict[int, float]] = {trial.role: {} for trial in trials}
    for trial in trials:
        if trial.score is not None:
            table[trial.role][trial.replicate] = trial.score
    return table


def test_scores_by_role(trials: Sequence[TrialState], metric: str) -> dict[str, dict[int, float]]:
    """Role -> replicate -> ``metric`` on the test split of the trials it was opened for."""
    table: dict[str, dict[int, float]] = {trial.role: {} for trial in trials}
    for trial in trials:
        if trial.tested is not None:
            table[trial.role][trial.replicate] = trial.tested[metric]
    return table


def _advance(
    trial: TrialState, event: TrialStarted | TrialReported | TrialFinished | TrialStopped | TrialFailed
) -> bool:
    if trial.has_ended:
        return False
    match event:
        case TrialStarted():
            trial.status, trial.host, trial.device = TrialStatus.RUNNING, event.host, event.device
            trial.started_at = trial.started_at or event.at
        case TrialReported():
            return trial.reports.setdefault(event.epoch, event) is event
        case TrialFinished() | TrialStopped():
            stopped = isinstance(event, TrialStopped)
            trial.status, trial.ended_at = TrialStatus.STOPPED if stopped else TrialStatus.FINISHED, event.at
            trial.score, trial.best_epoch, trial.duration_s = event.score, event.epoch, event.duration_s
        case TrialFailed():
            trial.status, trial.ended_at, trial.reason = TrialStatus.FAILED, event.at, event.reason
    return True
