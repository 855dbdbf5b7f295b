"""The runner of a stage, which proposes trials and writes the journal."""

from collections import deque
from collections.abc import Callable, Sequence
from functools import partial

from hpo.journal.budget import Limit
from hpo.journal.events import (
    Event,
    GainEstimated,
    Noticed,
    TrialAsked,
    TrialFailed,
    TrialFinished,
    TrialReported,
    TrialStarted,
    TrialStopped,
)
from hpo.journal.journal import Journal
from hpo.journal.metrics import Metrics
from hpo.journal.results import StudyState
from hpo.journal.stage_state import UNLIKELY
from hpo.journal.trial_state import TrialState
from hpo.programs.program import Answer, Program
from hpo.schedule.stopping import build_stopping_rule
from hpo.schedule.trial_source import Pause
from hpo.study.plan import StudyPlan, chunk_seed
from hpo.study.reopening import changed_code, changed_error
from hpo.study.running.budget import StageBudget
from hpo.study.running.stop_requests import BY_USER, WHOLE_STUDY, StopRequests
from hpo.trial import in_training
from hpo.trial.files import remove_training_files, trial_folder
from hpo.trial.report import Report, best_report
from hpo.trial.specification import TrialSpec
from model.errors import UserError

Listener = Callable[[StudyState], None]

FAILURES_ALIKE = 5
"""Number of trials of a session that fail for the same reason, after which a stage without a score stops: the
others would fail as well."""


class StageRunner:
    """Source of the trials of one stage for the scheduler (a ``hpo.schedule.trial_source.TrialSource``).

    Trials that were running when the study stopped come first, then those that the stage's program proposes.
    Every event is written to the journal before it takes effect. A trial that has ended keeps its result,
    even if a restarted process reports the trial again.
    """

    def __init__(
        self,
        plan: StudyPlan,
        stage: str,
        program: Program,
        journal: Journal,
        state: StudyState,
        listener: Listener,
        budget: StageBudget,
        *,
        host: str,
        before_proposal: Callable[[], None] = lambda: None,
    ) -> None:
        """Continue the stage from ``state``; ``plan`` contains the settings of the stage.

        ``host`` is the machine that trains the trials; it is empty if the nodes of a cluster do.
        ``before_proposal`` is called before each new trial; it may wait for a second.
        """
        self.state, self._host = state, host
        self._budget, self._has_room = budget, True
        self._before_proposal = before_proposal
        self._requests = StopRequests(journal.folder)
        self._reasons: list[str] = []
        """Reasons of the failures in this session."""
        self._plan, self._stage, self._program = plan, stage, program
        self._score = plan.score
        self._journal, self._listener = journal, listener
        self._study = plan.study.model_dump(mode="json")
        self._epochs = plan.study.training.epochs
        self._stops_when_unlikely = getattr(plan.study.stages.named(stage), "stop_when", "") == "unlikely"
        self._rule = build_stopping_rule(plan.study.stages.named(stage), epochs=self._epochs)
        self._replay_validations()
        self._finish_trained()
        for name in self.to_stop():  # requested of an earlier process; nothing trains these trials now
            self.stopped(name)
        self._waiting = deque(trial for trial in state.trials_of(stage) if not trial.has_ended)
        for trial in self._waiting:  # what died while it trained them died with an earlier session
            in_training.take(trial_folder(journal.folder, trial.trial))

    def next_spec(self) -> TrialSpec | Pause | None:
        """Return the next trial to train, WAIT if it depends on running ones, or None if there is none.

        With a budget, no new trial starts that could not end in time.
        """
        if self.fails_alike:
            return None
        if self._waiting:
            return self._spec(self._waiting.popleft())
        self._before_proposal()
        self._has_room = self._has_room and self._budget.has_room
        trials = self.state.trials_of(self._stage)
        if not self._has_room or self._is_enough(trials):
            return None
        proposal = self._program.next(trials)
        if proposal is Answer.WAIT:
            return Pause.WAIT
        if isinstance(proposal, Answer):
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
        return self._spec(self.state.trials[name])

    def should_end(self) -> bool:
        """Return whether the time is up or the user stops the study; trials keep their last validation."""
        return self._budget.is_over or WHOLE_STUDY in self._requests.standing

    def to_stop(self) -> list[str]:
        """Return the trials that the user wants to end at once."""
        requested = self._requests.standing
        return [name for name in self.state.tally(self._stage).unfinished if name in requested]

    def started(self, trial: str) -> None:
        """Record that a process has started to train the trial."""
        self._start(trial, self._host)

    def trained_on(self, trial: str, host: str) -> None:
        """Record the machine that trains the trial, which a cluster tells with the first validation."""
        if host != self.state.trials[trial].host:
            self._start(trial, host)

    def _start(self, trial: str, host: str) -> None:
        if self.state.trials[trial].has_ended:
            return
        threads = self._plan.parallelism(self._stage).threads
        self._write(TrialStarted(trial=trial, host=host, device=self._plan.device, threads=threads))

    def reported(self, trial: str, report: Report) -> bool:
        """Record a new validation, apply the stopping rule, and return whether the trial continues."""
        state = self.state.trials[trial]
        if not state.has_ended and report.epoch not in state.reports:
            metrics = Metrics(report.metrics)
            self._write(
                TrialReported(trial=trial, epoch=report.epoch, metrics=metrics, train_s=report.train_s)
            )
            if self._rule.should_stop(trial, report.epoch, report.score):
                self._end(trial, TrialStopped)
        return not state.has_ended

    def finished(self, trial: str) -> None:
        """Record the end of a trial, scored by its best validation."""
        self._end(trial, TrialFinished)

    def stopped(self, trial: str) -> None:
        """Record that a trial has ended at the user's request, with its best validation if it has one."""
        self._end(trial, partial(TrialStopped, reason=BY_USER))

    def failed(self, trial: str, reason: str) -> None:
        """Record the failure of a trial; the stage continues."""
        if not self.state.trials[trial].has_ended:
            self._write(TrialFailed(trial=trial, reason=reason))
            self._reasons.append(reason)
            self._clean_up(trial)

    @property
    def fails_alike(self) -> bool:
        """Whether no trial of the stage has a score, and those of this session failed for the same reason."""
        is_alike = len(self._reasons) >= FAILURES_ALIKE and len(set(self._reasons)) == 1
        return is_alike and not self.state.ranked(self._stage, 1)

    def code_changed(self) -> UserError:
        """Return the error with which the study stops; it continues from here with the earlier code."""
        return changed_error([changed_code(self._plan)], self.state)

    def add_note(self, message: str) -> None:
        """Record a message for the user."""
        self._write(Noticed(message=message))

    @property
    def complete(self) -> bool:
        """Whether the stage needs no more trials."""
        trials = self.state.trials_of(self._stage)
        return self._program.is_done(trials) or (self.ended_as_unlikely and all(t.has_ended for t in trials))

    @property
    def ended_as_unlikely(self) -> bool:
        """Whether the stage has ended because further trials are expected to gain too little."""
        return self._stops_when_unlikely and self.state.stages[self._stage].unlikely >= UNLIKELY

    def _is_enough(self, trials: Sequence[TrialState]) -> bool:
        """Record the expected gain of further trials, and return whether it is too little to go on.

        The estimate depends on which trials have ended, so a resumed study takes it from the journal, and
        several proposals in a row have one estimate: without new scores another one says nothing new.
        """
        known, ended = self.state.stages[self._stage], len(self.state.tally(self._stage).ended)
        has_news = known.gain is None or known.ended_before_gain != ended
        if has_news and not self.ended_as_unlikely:
            gain = self._program.expected_gain(trials)
            if gain is not None:
                self._write(
                    GainEstimated(
                        stage=self._stage,
                        proposed=len(trials),
                        trials=gain.trials,
                        gain=gain.expected,
                        noise=gain.noise,
                    )
                )
        return self.ended_as_unlikely

    @property
    def budget_over(self) -> Limit | None:
        """The limit that leaves no time for another trial; None while there is time."""
        limit = self._budget.limit
        unfinished = self.state.tally(self._stage).unfinished
        if self.complete or limit is None or (limit.left_s > 0 and (self._has_room or unfinished)):
            return None
        return limit

    def close(self, reason: str) -> None:
        """End the trials that have not ended, each with its best validation if it has one."""
        for trial in list(self.state.tally(self._stage).unfinished):
            self._end(trial, partial(TrialStopped, reason=reason))

    def _replay_validations(self) -> None:
        """Report earlier validations to the stopping rule; end trials whose stop is not recorded yet."""
        decided: dict[str, bool] = {}
        for event in self.state.validations:
            if self.state.trials[event.trial].stage == self._stage:
                decided[event.trial] = self._rule.should_stop(
                    event.trial, event.epoch, self._report(event).score
                )
        for trial, stops in decided.items():
            if stops:
                self._end(trial, TrialStopped)

    def _finish_trained(self) -> None:
        """Finish the trials that trained all epochs before an earlier process could record their end."""
        for name in list(self.state.tally(self._stage).unfinished):
            if self.state.trials[name].epochs_trained >= self._epochs:
                self.finished(name)

    def _end(self, trial: str, kind: Callable[..., TrialFinished | TrialStopped]) -> None:
        state = self.state.trials[trial]
        if state.has_ended:
            return
        if reports := [self._report(event) for event in state.reports.values()]:
            best = best_report(reports)
            duration_s = max(report.train_s for report in reports)
            self._write(kind(trial=trial, score=best.score, epoch=best.epoch, duration_s=duration_s))
        else:
            self._write(kind(trial=trial))
        self._clean_up(trial)

    def _clean_up(self, trial: str) -> None:
        """Remove what only a running trial needs."""
        remove_training_files(trial_folder(self._journal.folder, trial))
        self._requests.remove(trial)

    def _write(self, event: Event) -> None:
        self._journal.append(event)
        self.state.apply(event)
        self._listener(self.state)

    def _spec(self, trial: TrialState) -> TrialSpec:
        return TrialSpec(
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
            code=self.state.created.code_digest,
            reported_epoch=trial.epochs_trained,
        )

    def _report(self, event: TrialReported) -> Report:
        return Report.from_metrics(event.metrics, self._score, epoch=event.epoch, train_s=event.train_s)
