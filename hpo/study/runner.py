"""One stage of a study in motion: hands out trials, writes the journal, tells the searcher."""

import socket
from collections import deque
from collections.abc import Callable
from pathlib import Path

from hpo.config.study_file import first_points, space_of
from hpo.journal.events import (
    Event,
    TrialAsked,
    TrialFailed,
    TrialFinished,
    TrialReported,
    TrialStarted,
)
from hpo.journal.journal import Journal
from hpo.journal.results import StudyState, TrialState, TrialStatus
from hpo.search.build import build_searcher
from hpo.search.searcher import Searcher
from hpo.study.plan import StudyPlan
from hpo.trial.run import Report, best_report
from hpo.trial.task import TrialTask

Listener = Callable[[StudyState], None]


def trial_folder(study_folder: Path, trial: str) -> Path:
    """Where a trial keeps its checkpoints and settings."""
    return study_folder / "trials" / trial


class StageRunner:
    """Feeds the scheduler with the trials of one stage (a ``hpo.schedule.feed.TrialFeed``).

    Trials that were running when the study stopped come first, then those that the searcher proposes.
    An event is in the journal before anything acts on it.
    """

    def __init__(self, plan: StudyPlan, journal: Journal, state: StudyState, listener: Listener) -> None:
        """Take up the stage where ``state`` says it stands."""
        self.state = state
        self._plan, self._journal, self._listener = plan, journal, listener
        self._stage = plan.study.stages[plan.stage]
        mine = [trial for trial in state.trials.values() if trial.stage == plan.stage]
        self._searcher = _rebuilt_searcher(plan, mine)
        self._waiting = deque(trial for trial in mine if not trial.has_ended)

    def next_task(self) -> TrialTask | None:
        """The next trial to train; None when the stage has all its trials or its space is used up."""
        if self._waiting:
            return self._task(self._waiting.popleft())
        asked = sum(trial.stage == self._plan.stage for trial in self.state.trials.values())
        if asked >= self._stage.trials:
            return None
        name = f"{self._plan.stage}-{asked + 1:04d}"
        parameters = self._searcher.ask(name)
        if parameters is None:
            return None
        self._write(
            TrialAsked(trial=name, stage=self._plan.stage, parameters=parameters, seed=self._plan.seed)
        )
        return self._task(self.state.trials[name])

    def started(self, trial: str) -> None:
        """Record that a process begins to train the trial."""
        self._write(TrialStarted(trial=trial, host=socket.gethostname(), device=self._plan.device))

    def reported(self, trial: str, report: Report) -> None:
        """Record a validation, unless it is known already."""
        if report.epoch not in self.state.trials[trial].reports:
            self._write(
                TrialReported(trial=trial, epoch=report.epoch, metrics=report.metrics, train_s=report.train_s)
            )

    def finished(self, trial: str) -> None:
        """Score the trial by its best validation and tell the searcher."""
        events = self.state.trials[trial].reports.values()
        reports = [Report(event.epoch, event.metrics, event.train_s) for event in events]
        best = best_report(reports)
        duration_s = max(report.train_s for report in reports)
        self._write(TrialFinished(trial=trial, score=best.score, epoch=best.epoch, duration_s=duration_s))
        self._searcher.tell(trial, best.score)

    def failed(self, trial: str, reason: str) -> None:
        """Record the failure and tell the searcher, which goes on."""
        self._write(TrialFailed(trial=trial, reason=reason))
        self._searcher.fail(trial)

    @property
    def complete(self) -> bool:
        """Whether the stage needs no more trials."""
        mine = [trial for trial in self.state.trials.values() if trial.stage == self._plan.stage]
        size = space_of(self._stage).size()
        wanted = self._stage.trials if size is None else min(size, self._stage.trials)
        return len(mine) >= wanted and all(trial.has_ended for trial in mine)

    def _write(self, event: Event) -> None:
        self._journal.append(event)
        self.state.apply(event)
        self._listener(self.state)

    def _task(self, trial: TrialState) -> TrialTask:
        return TrialTask(
            trial=trial.trial,
            parameters=dict(trial.parameters),
            seed=trial.seed,
            data_seed=self._plan.data_seed,
            study=self._plan.study.model_dump(mode="json"),
            train=self._plan.train,
            valid=self._plan.valid,
            precision=self._plan.precision,
            device=self._plan.device,
            folder=str(trial_folder(self._journal.folder, trial.trial)),
            reported_epoch=max(trial.reports, default=0),
        )


def _rebuilt_searcher(plan: StudyPlan, trials: list[TrialState]) -> Searcher:
    """The searcher as it was: its proposals depend only on its seed and on what is told here."""
    stage = plan.study.stages[plan.stage]
    searcher = build_searcher(
        stage.searcher, space_of(stage), seed=plan.search_seed, first=first_points(plan.study, stage)
    )
    for trial in trials:
        searcher.replay(trial.trial, dict(trial.parameters))
    for trial in trials:
        if trial.status is TrialStatus.FINISHED and trial.score is not None:
            searcher.tell(trial.trial, trial.score)
        elif trial.status is TrialStatus.FAILED:
            searcher.fail(trial.trial)
    return searcher
