"""State of a study, computed from the events of its journal."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Self

from hpo.journal.events import (
    BudgetEnded,
    BudgetSet,
    DataMoved,
    Event,
    GainEstimated,
    Noticed,
    StageAsked,
    StageExtended,
    StageFinished,
    StageRetried,
    StageStarted,
    StudyCreated,
    StudyInterrupted,
    StudyRenamed,
    StudyResumed,
    TrialAsked,
    TrialFailed,
    TrialFinished,
    TrialReported,
    TrialStarted,
    TrialStopped,
    TrialTested,
)
from hpo.journal.journal import stored_events
from hpo.journal.ranking import Configuration, Expected
from hpo.journal.running_time import RunningTime
from hpo.journal.stage_state import StageState
from hpo.journal.tally import Tally
from hpo.journal.trial_state import TrialEvent, TrialState, TrialStatus
from model.errors import UserError
from model.wording import printable


@dataclass(slots=True, kw_only=True)
class StudyState:
    """State of a study. ``replay`` computes it from a journal; ``apply`` adds one event."""

    created: StudyCreated
    """First event of the journal, with the plan of the study and the present place of its data."""
    versions: Mapping[str, str]
    """Package -> version in the process that ran the study last."""
    asked: dict[str, StageAsked] = field(default_factory=dict)
    """Requested stages by name, in the order of the requests."""
    stages: dict[str, StageState] = field(default_factory=dict)
    """Started stages by name, in the order of their starts."""
    trials: dict[str, TrialState] = field(default_factory=dict)
    """Trials by name, in the order in which they were proposed."""
    validations: list[TrialReported] = field(default_factory=list)
    """Validations of all trials in the order in which they were reported, on which early stopping depends."""
    resumed: int = 0
    """Number of times that the study was resumed."""
    interrupted: str | None = None
    """Reason of the last interruption; None if the study was resumed since."""
    notes: list[str] = field(default_factory=list)
    """Messages for the user, oldest first."""
    updated_at: datetime
    """Time of the last event."""
    budget: BudgetSet | None = None
    """Budget that the user gave last; None: that of the study file applies."""
    budget_since_s: float = 0.0
    """Running time of the study, in seconds, when it got this budget."""
    running: RunningTime = field(init=False, compare=False)
    """Time for which the study ran."""
    _tallies: dict[str, Tally] = field(default_factory=dict, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        self.running = RunningTime(self.created.at)

    @classmethod
    def replay(cls, events: Iterable[Event]) -> Self:
        """Compute the state after ``events``.

        Raises:
            UserError: The first event does not create a study, or an event names an unknown trial or stage.
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
        """Update the state with one more event; a repeated start, report or end changes nothing.

        Returns:
            Whether the event was new. A trial that resumes from an older checkpoint repeats reports, and a
            resumed study may start its stage again.

        Raises:
            UserError: The event names an unknown trial or stage.
        """
        self.updated_at = event.at
        self.running.record(event)
        match event:
            case StudyRenamed():
                self.created = replace(self.created, study=event.study)
            case StudyResumed():
                self.versions, self.interrupted, self.resumed = event.versions, None, self.resumed + 1
            case BudgetSet():
                self._set_budget(event)
            case BudgetEnded():
                self._end_budget(event)
            case GainEstimated():
                ended = len(self.tally(event.stage).ended)
                return self._stage(event.stage).estimate_gain(event, ended=ended)
            case DataMoved():
                self.created = replace(self.created, plan={**self.created.plan, "data": event.data})
            case StudyInterrupted():
                self.interrupted = event.reason
            case Noticed():
                self.notes.append(printable(event.message))
            case StageAsked():
                return self._request(event)
            case StageStarted():
                return self._start_stage(event)
            case StageExtended():
                self._extend_stage(event)
            case StageRetried():
                self._retry_stage(event)
            case StageFinished():
                self._finish_stage(event)
            case TrialAsked():
                return self._ask(event)
            case TrialTested():
                trial = self._trial(event.trial)
                trial.tested, trial.test_items = event.metrics, event.items
            case TrialStarted() | TrialReported() | TrialFinished() | TrialStopped() | TrialFailed():
                return self._advance(self._trial(event.trial), event)
        return True

    def tally(self, stage: str) -> Tally:
        """Return the trials of a stage, counted and ranked; later events change the result."""
        if stage not in self._tallies:
            self._tallies[stage] = Tally.of(trial for trial in self.trials.values() if trial.stage == stage)
        return self._tallies[stage]

    def ranked(self, stage: str, count: int | None = None) -> list[Configuration]:
        """Return the ``count`` best configurations of a stage that have a score, best first; None: all."""
        return self.tally(stage).ranking.best(count)

    @property
    def has_score(self) -> bool:
        """Whether any trial has a score."""
        return any(self.ranked(stage, 1) for stage in self.stages)

    def counts(self, *, stage: str | None = None) -> dict[TrialStatus, int]:
        """Count the trials by status; every status is a key."""
        tallies = [self.tally(name) for name in self.stages if stage in (None, name)]
        return {status: sum(tally.statuses[status] for tally in tallies) for status in TrialStatus}

    def trials_at_most(self, stage: str) -> int:
        """Return how many trials a stage may have; of one that has ended, how many it needed."""
        known = self.stages[stage]
        return len(self.tally(stage).trials) if known.finished_at else known.trials

    @property
    def pending(self) -> list[str]:
        """Requested stages that have not ended, in the order of the requests."""
        return [name for name in self.asked if name not in self.stages or not self.stages[name].finished_at]

    @property
    def is_complete(self) -> bool:
        """Whether all stages that were requested have ended, and there is one."""
        has_ended = all(stage.finished_at for stage in self.stages.values())
        return bool(self.stages) and has_ended and not self.pending

    @property
    def budget_over(self) -> str:
        """Budget, in words, that ended before the stage that is to run next; empty otherwise."""
        stages = (self.stages[name] for name in self.pending[:1] if name in self.stages)
        return next((stage.over.budget for stage in stages if stage.over), "")

    def trials_of(self, stage: str) -> list[TrialState]:
        """Return the trials of one stage, in the order in which they were proposed."""
        return list(self.tally(stage).trials)

    def names_of_trials(self) -> str:
        """Return the names of all trials, such as ``bayes-0001 to bayes-0010, final-0001``."""
        ranges = []
        for stage in self.stages:
            names = [trial.trial for trial in self.tally(stage).trials]
            ranges += [f"{names[0]} to {names[-1]}" if len(names) > 1 else names[0]] if names else []
        return ", ".join(ranges) or "none yet"

    def failed_trials(self, stage: str) -> list[TrialState]:
        """Return the failed trials of one stage, in the order in which they were proposed."""
        return [trial for trial in self.trials_of(stage) if trial.status is TrialStatus.FAILED]

    def _set_budget(self, event: BudgetSet) -> None:
        self.budget = event if event.hours is not None or event.until is not None else None
        self.budget_since_s = self.running.seconds(event.at)
        for stage in self.stages.values():
            stage.over = None

    def _end_budget(self, event: BudgetEnded) -> None:
        stage = self._stage(event.stage)
        stage.over = event
        if event.of_stage and event.suffices and event.stage in self.pending[:-1]:
            stage.cut_short = event.budget

    def _request(self, event: StageAsked) -> bool:
        for name in self.pending:
            over = self.stages[name].over if name in self.stages else None
            if over and over.suffices:
                self.stages[name].cut_short = over.budget
        return self.asked.setdefault(event.stage, event) is event

    def _extend_stage(self, event: StageExtended) -> None:
        stage = self._stage(event.stage)
        self.tally(event.stage).ranking.reopen()
        asked = self.asked[event.stage]
        stage.extend(event, self.running.seconds(event.at), before=asked.settings)
        self.asked[event.stage] = replace(asked, settings=event.settings)

    def _retry_stage(self, event: StageRetried) -> None:
        stage = self._stage(event.stage)
        failed = {trial.trial for trial in self.failed_trials(event.stage)}
        for name in failed:
            self.trials[name] = self.trials[name].unstarted()
        self.validations = [report for report in self.validations if report.trial not in failed]
        del self._tallies[event.stage]  # its lists have the former states
        stage.reopen(self.running.seconds(event.at))

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
            began_s=self.running.seconds(event.at),
            earlier=self._earlier_choices(event),
        )
        return True

    def _earlier_choices(self, event: StageStarted) -> dict[str, StageState]:
        """Return copies of the stages that have a choice, if a stage starts from one of them."""
        asked = self.asked.get(event.stage)
        if not event.start or (asked and asked.start):
            return {}
        return {name: replace(stage) for name, stage in self.stages.items() if stage.chosen}

    def _finish_stage(self, event: StageFinished) -> None:
        self._stage(event.stage).finish(event, self.running.seconds(event.at))
        self.tally(event.stage).ranking.end(
            [(self._trial(name), Expected(*each, event.noise)) for name, each in event.expected.items()]
        )

    def _ask(self, event: TrialAsked) -> bool:
        if event.trial in self.trials:
            return False
        trial = TrialState(
            trial=event.trial,
            stage=self._stage(event.stage).stage,
            parameters=event.parameters,
            seed=event.seed,
            replicate=event.replicate,
            role=event.role,
            asked_at=event.at,
            together=self._together(event.stage),
        )
        self.tally(trial.stage).add(trial)
        self.trials[event.trial] = trial
        return True

    def _together(self, stage: str) -> int:
        """Return how many trials an array of the stage trains; the concurrent ones spread over the arrays."""
        asked = self.asked.get(stage)
        array, concurrent = (asked.settings.get(key) if asked else None for key in ("array", "concurrent"))
        if not isinstance(array, int) or not isinstance(concurrent, int):
            return 1
        return math.ceil(concurrent / math.ceil(concurrent / array))

    def _advance(
        self,
        trial: TrialState,
        event: TrialEvent,
    ) -> bool:
        tally, status, epochs = self.tally(trial.stage), trial.status, trial.epochs_trained
        is_new = trial.advance(event)
        if is_new and isinstance(event, TrialReported):
            self.validations.append(event)
        tally.update(trial, status=status, epochs=epochs)
        return is_new

    def _stage(self, name: str) -> StageState:
        if name not in self.stages:
            raise UserError(f"the journal contains an event of stage {name!r}, but not its start")
        return self.stages[name]

    def _trial(self, name: str) -> TrialState:
        if name not in self.trials:
            raise UserError(f"the journal contains an event of trial {name!r}, but not its proposal")
        return self.trials[name]


def stored_state(folder: Path) -> StudyState:
    """Read the journal in ``folder``, that of a study, and return the study's state.

    The study has the name of its folder, which commands use, also if the journal has another one: after a
    move of the folder without ``hpo rename``, or a kill of that.

    Raises:
        UserError: There is no such study, or its journal is damaged.
    """
    state = StudyState.replay(stored_events(folder))
    state.created = replace(state.created, study=folder.name)
    return state
