"""One stage of a study in motion: hands out trials and writes the journal."""

import socket
from collections import deque
from collections.abc import Callable
from pathlib import Path

from hpo.journal.events import (
    Event,
    TrialAsked,
    TrialFailed,
    TrialFinished,
    TrialReported,
    TrialStarted,
)
from hpo.journal.journal import Journal
from hpo.journal.results import StudyState, TrialState
from hpo.schedule.feed import Pause
from hpo.study.plan import StudyPlan, chunk_seed, threads_per_trial
from hpo.study.programs.program import Answer, Program
from hpo.trial.run import Report, best_report
from hpo.trial.task import TrialTask

Listener = Callable[[StudyState], None]


def trial_folder(study_folder: Path, trial: str) -> Path:
    """Where a trial keeps its checkpoints and settings."""
    return study_folder / "trials" / trial


class StageRunner:
    """Feeds the scheduler with the trials of one stage (a ``hpo.schedule.feed.TrialFeed``).

    Trials that were running when the study stopped come first, then those that the stage's program proposes.
    An event is in the journal before anything acts on it.
    """

    def __init__(
        self,
        plan: StudyPlan,
        stage: str,
        program: Program,
        journal: Journal,
        state: StudyState,
        listener: Listener,
    ) -> None:
        """Take up the stage where ``state`` says it stands; ``plan`` has the stage's settings put in."""
        self.state = state
        self._plan, self._stage, self._program = plan, stage, program
        self._journal, self._listener = journal, listener
        self._study = plan.study.model_dump(mode="json")
        self._waiting = deque(trial for trial in state.trials_of(stage) if not trial.has_ended)

    def next_task(self) -> TrialTask | Pause | None:
        """The next trial to train, WAIT while running ones decide it; None when the stage is done."""
        if self._waiting:
            return self._task(self._waiting.popleft())
        trials = self.state.trials_of(self._stage)
        proposal = self._program.next(trials)
        if proposal is Answer.WAIT:
            return Pause.WAIT
        if proposal is Answer.DONE or isinstance(proposal, Answer):
            return None
        name = f"{self._stage}-{len(trials) + 1:04d}"
        self._write(
            TrialAsked(
                trial=name,
                stage=self._stage,
                parameters=proposal.parameters,
                seed=self._plan.seed_of(proposal.replicate),
                replicate=proposal.replicate,
                role=proposal.role,
            )
        )
        return self._task(self.state.trials[name])

    def started(self, trial: str) -> None:
        """Record that a process begins to train the trial."""
        concurrent = self._plan.study.stages.named(self._stage).concurrent
        self._write(
            TrialStarted(
                trial=trial,
                host=socket.gethostname(),
                device=self._plan.device,
                threads=threads_per_trial(concurrent),
            )
        )

    def reported(self, trial: str, report: Report) -> None:
        """Record a validation, unless it is known already."""
        if report.epoch not in self.state.trials[trial].reports:
            self._write(
                TrialReported(trial=trial, epoch=report.epoch, metrics=report.metrics, train_s=report.train_s)
            )

    def finished(self, trial: str) -> None:
        """Score the trial by its best validation."""
        events = self.state.trials[trial].reports.values()
        reports = [Report(event.epoch, event.metrics, event.train_s) for event in events]
        best = best_report(reports)
        duration_s = max(report.train_s for report in reports)
        self._write(TrialFinished(trial=trial, score=best.score, epoch=best.epoch, duration_s=duration_s))

    def failed(self, trial: str, reason: str) -> None:
        """Record the failure; the stage goes on."""
        self._write(TrialFailed(trial=trial, reason=reason))

    @property
    def complete(self) -> bool:
        """Whether the stage needs no more trials."""
        return self._program.is_done(self.state.trials_of(self._stage))

    def _write(self, event: Event) -> None:
        self._journal.append(event)
        self.state.apply(event)
        self._listener(self.state)

    def _task(self, trial: TrialState) -> TrialTask:
        return TrialTask(
            trial=trial.trial,
            parameters=dict(trial.parameters),
            seed=trial.seed,
            data_seed=chunk_seed(trial.seed),
            study=self._study,
            train=self._plan.train,
            valid=self._plan.valid,
            precision=self._plan.precision,
            device=self._plan.device,
            folder=str(trial_folder(self._journal.folder, trial.trial)),
            reported_epoch=max(trial.reports, default=0),
        )
