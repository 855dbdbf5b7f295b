"""Recording of a study's events in MLflow: experiment = study, parent run = stage, child run = trial."""

import logging
import math
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from pathlib import Path

from hpo.config.environment import Environment
from hpo.journal.events import (
    COMMIT,
    BudgetEnded,
    DataMoved,
    Event,
    Noticed,
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
    Value,
)
from hpo.journal.results import StudyState
from hpo.journal.trial_state import TrialState, TrialStatus
from hpo.space.symbols import by_symbol
from hpo.tasks.base.found import best_of_stage
from hpo.tasks.base.registry import score_of
from hpo.tracking.experiment import BEST, Experiment
from hpo.tracking.figures import FigureFiles
from hpo.tracking.notes import NOTE, stage_note, study_note, study_tags, trial_note
from hpo.tracking.registration import Winner
from hpo.tracking.winner_label import winner_label
from model.wording import described

_PLAN = "study.json"
"""Artifact of a stage with the plan of the study."""
_TOLD = (
    StageStarted,
    StageExtended,
    StageRetried,
    StageFinished,
    TrialFinished,
    TrialStopped,
    TrialFailed,
    StudyRenamed,
    StudyInterrupted,
    StudyResumed,
    BudgetEnded,
    Noticed,
)
"""Events that change what the list of experiments shows of a study."""


def _no_importance(state: StudyState, stage: str) -> Mapping[str, float]:
    return {}


def _no_winner(state: StudyState, stage: str) -> Winner | None:
    return None


def _no_figures(state: StudyState, stage: str) -> FigureFiles:
    return FigureFiles(files={})


class MlflowTracker:
    """Tracker that records one study in MLflow.

    Args:
        environment: Gives the address of the store.
        dataset: Name of the data, such as ``soccernet-v1/resnet``.
        fixed: Hyperparameters that no trial of the study varies; a trial's own values take precedence.
        files_of: Function from a finished or stopped trial to the files to upload, such as its configuration
            and best network; missing files are skipped.
        importance_of: Function that returns the importance of each hyperparameter in a stage; may be empty.
        figures_of: Function that draws the figures of a stage that has ended.
        winner_of: Function that returns the network to register of a stage that has ended, if there is one.
    """

    def __init__(
        self,
        environment: Environment,
        *,
        dataset: str,
        fixed: Mapping[str, Value],
        files_of: Callable[[str], Iterable[Path]],
        importance_of: Callable[[StudyState, str], Mapping[str, float]] = _no_importance,
        figures_of: Callable[[StudyState, str], FigureFiles] = _no_figures,
        winner_of: Callable[[StudyState, str], Winner | None] = _no_winner,
    ) -> None:
        self._environment = environment
        self._dataset = dataset
        self._fixed = fixed
        self._files_of = files_of
        self._importance_of = importance_of
        self._figures_of = figures_of
        self._winner_of = winner_of
        self._told: StudyState | None = None
        """State of the study whose description is to be written; None if it has not changed."""

    def connect(self, created: StudyCreated) -> int:
        """Find or create the study's experiment and return its number of recorded events."""
        # It would print pages about a full disk into the study's progress; the follower tells the failure.
        logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)
        self._told = None
        self._experiment = Experiment.find_or_make(
            self._environment, name=created.study, identity=created.identity
        )
        return self._experiment.recorded

    def save(self, recorded: int) -> None:
        """Write the collected records, then store that the experiment has the first ``recorded`` events."""
        if self._told is not None:
            self._experiment.describe(study_note(self._told, self._dataset), study_tags(self._told))
            self._told = None
        self._experiment.save(recorded)

    def record(self, event: Event, state: StudyState) -> None:
        """Record an event; ``state`` already includes it."""
        if isinstance(event, _TOLD):
            self._told = state
        match event:
            case StageStarted():
                self._start_stage(event, state)
            case StageExtended():
                self._extend_stage(event, state)
            case StageRetried():
                self._retry_stage(event, state)
            case TrialAsked():
                self._schedule(state.trials[event.trial], event.at, state)
            case TrialStarted():
                self._start(event, state)
            case TrialReported():
                metrics = {**event.metrics, "train_s": event.train_s}
                run = self._run(state.trials[event.trial])
                self._experiment.log(run, at=event.at, step=event.epoch, metrics=metrics)
            case TrialFinished() | TrialStopped():
                self._finish(event, state)
            case TrialFailed():
                self._fail(event, state)
            case TrialTested():
                metrics = {f"test/{name}": value for name, value in event.metrics.items()}
                self._experiment.log(self._run(state.trials[event.trial]), at=event.at, metrics=metrics)
            case StageFinished():
                self._finish_stage(event, state)
            case StudyRenamed():
                self._experiment.rename(event.study)
            case DataMoved():
                for stage in state.stages:
                    self._experiment.log_record(stage, state.created.plan, _PLAN)
            case StudyInterrupted():
                self._interrupt(event, state)
            case StudyResumed():
                self._resume(event, state)

    def _start_stage(self, event: StageStarted, state: StudyState) -> None:
        run = event.stage
        tags = {**_origin(state), **_note(run, state), "hpo.status": "running"}
        self._experiment.start_run(stage=run, trial=None, at=event.at, tags=tags)
        metric = score_of(state.created).metric
        self._experiment.add_table(run, list(by_symbol(event.space)), metric=metric)
        self._experiment.log_data(run, dataset=self._dataset, digest=state.created.data_digest)
        self._experiment.log_record(run, event.space, "space.json")
        self._experiment.log_record(run, state.created.plan, _PLAN)
        asked = state.asked.get(run)
        self._experiment.log_record(run, asked.settings if asked else {}, "settings.json")

    def _extend_stage(self, event: StageExtended, state: StudyState) -> None:
        self._experiment.set_status(event.stage, "RUNNING")
        self._show_best(event.stage, event.at, state)
        tags = {"hpo.status": "running", **_note(event.stage, state)}
        self._experiment.log(event.stage, at=event.at, tags=tags)
        self._experiment.log_record(event.stage, event.settings, "settings.json")
        self._experiment.log_record(event.stage, state.stages[event.stage].space, "space.json")

    def _retry_stage(self, event: StageRetried, state: StudyState) -> None:
        self._experiment.set_status(event.stage, "RUNNING")
        tags = {"hpo.status": "running", **_note(event.stage, state)}
        self._experiment.log(event.stage, at=event.at, tags=tags)
        for trial in state.tally(event.stage).unfinished.values():
            if trial.attempt > 1 and trial.status is TrialStatus.ASKED:
                self._experiment.retire(trial.trial, trial.attempt - 1)
                self._schedule(trial, event.at, state)
        self._show_best(event.stage, event.at, state)

    def _run(self, trial: TrialState) -> str:
        """Return the name of the run of a trial's present attempt."""
        return self._experiment.run_of(trial.trial, trial.attempt)

    def _schedule(self, trial: TrialState, at: datetime, state: StudyState) -> None:
        run = self._run(trial)
        tags = {**_origin(state), **_note(trial.trial, state), "hpo.status": "asked", BEST: "false"}
        tags |= {"hpo.replicate": str(trial.replicate), **({"hpo.role": trial.role} if trial.role else {})}
        self._experiment.start_run(stage=trial.stage, trial=run, at=at, tags=tags)
        self._experiment.set_status(run, "SCHEDULED")
        parameters = by_symbol({**self._fixed, **trial.parameters})
        self._experiment.log_parameters(run, {**parameters, "seed": trial.seed})
        self._experiment.log_data(run, dataset=self._dataset, digest=state.created.data_digest)

    def _start(self, event: TrialStarted, state: StudyState) -> None:
        run = self._run(state.trials[event.trial])
        self._experiment.set_status(run, "RUNNING")
        tags = {"hpo.status": "running", "hpo.host": event.host, "hpo.device": event.device}
        tags["hpo.threads"] = str(event.threads)
        tags["hpo.precision"] = str(state.created.plan.get("precision", ""))
        self._experiment.log(run, at=event.at, tags=tags)

    def _finish(self, event: TrialFinished | TrialStopped, state: StudyState) -> None:
        trial = state.trials[event.trial]
        run = self._run(trial)
        # The validations have the duration, train_s.
        metrics = {} if event.score is None else {"score": event.score}
        # MLflow shows the value of the highest step, and a task's own metric may be called "score".
        step = trial.epochs_trained + 1
        tags = {"hpo.status": str(trial.status), **_note(trial.trial, state)}
        if trial.reason:
            tags["hpo.reason"] = trial.reason
        self._experiment.log(run, at=event.at, step=step, metrics=metrics, tags=tags)
        for path in self._files_of(trial.trial):
            if path.is_file():
                self._experiment.log_file(run, path)
        self._update_best(trial, event.at, state)
        self._experiment.end_run(run, "KILLED" if isinstance(event, TrialStopped) else "FINISHED", event.at)

    def _fail(self, event: TrialFailed, state: StudyState) -> None:
        trial = state.trials[event.trial]
        run = self._run(trial)
        tags = {"hpo.status": "failed", "hpo.reason": trial.reason or "", **_note(trial.trial, state)}
        is_in_table = any("score" in report.metrics for report in trial.reports.values())
        # A task's own metric of that name would decide its place in the table; NaN comes after all scores.
        metrics = {"score": math.nan} if is_in_table else {}
        self._experiment.log(run, at=event.at, step=trial.epochs_trained + 1, metrics=metrics, tags=tags)
        self._update_best(trial, event.at, state)
        self._experiment.end_run(run, "FAILED", event.at)

    def _finish_stage(self, event: StageFinished, state: StudyState) -> None:
        shares = by_symbol(self._importance_of(state, event.stage))
        drawn = self._log_figures(event.stage, state)
        self._show_best(event.stage, event.at, state)
        note = stage_note(
            state.created.study, state.stages[event.stage], state, importance=shares, drawn=drawn
        )
        tags = {"hpo.status": "finished", "hpo.best_trial": event.best_trial, NOTE: note}
        metrics = {f"importance/{name}": share for name, share in shares.items()}
        self._experiment.log(event.stage, at=event.at, metrics=metrics, tags=tags)
        self._experiment.end_run(event.stage, "FINISHED", event.at)
        if winner := self._winner_of(state, event.stage):
            self._experiment.register(winner, winner_label(state, winner.trial, self._dataset))

    def _log_figures(self, stage: str, state: StudyState) -> FigureFiles:
        """Record the figures of a stage; a figure that cannot be drawn is listed as a failure."""
        try:
            drawn = self._figures_of(state, stage)
        except Exception as error:  # a failure here would hold up every record after it
            return FigureFiles(files={}, failures=(described(error),))
        self._experiment.log_contents(stage, drawn.files, "figures")
        return drawn

    def _interrupt(self, event: StudyInterrupted, state: StudyState) -> None:
        for run in (*_open_stages(state), *map(self._run, _open_trials(state))):
            self._experiment.log(run, at=event.at, tags={"hpo.status": "interrupted"})
            self._experiment.end_run(run, "KILLED", event.at)

    def _resume(self, event: StudyResumed, state: StudyState) -> None:
        for run in _open_stages(state):
            tags = {"hpo.status": "running", "hpo.versions": _versions(state)}
            self._experiment.set_status(run, "RUNNING")
            self._experiment.log(run, at=event.at, tags=tags)

    def _update_best(self, trial: TrialState, at: datetime, state: StudyState) -> None:
        """Show the best configuration of a trial's stage anew, if the end of the trial can have changed it.

        An ended trial changes the place of its own configuration only.
        """
        mine, best = state.tally(trial.stage).ranking.of(trial), state.ranked(trial.stage, 1)
        if best and (best[0].name == mine.name or len(mine.trials) > 1):
            self._show_best(trial.stage, at, state)
            self._experiment.log(trial.stage, at=at, tags=_note(trial.stage, state))

    def _show_best(self, stage: str, at: datetime, state: StudyState) -> None:
        """Mark the trials of the best configuration of a stage, and record its mean as the stage's score."""
        found = best_of_stage(state, stage)
        if found is None:
            return
        best, tally = found.configuration, state.tally(stage)
        self._experiment.mark_best(stage, {self._run(trial) for trial in best.trials})
        step = len(tally.ended) + tally.retried
        tags = {"hpo.best_trial": found.trial.trial}
        self._experiment.log(stage, at=at, step=step, metrics={"score": best.mean}, tags=tags)


def _note(run: str, state: StudyState) -> dict[str, str]:
    """Return the description of a run as a tag."""
    study, trial = state.created.study, state.trials.get(run)
    return {NOTE: stage_note(study, state.stages[run], state) if trial is None else trial_note(state, trial)}


def _origin(state: StudyState) -> dict[str, str]:
    """Return tags with the origin of results: study, data, code and versions."""
    created, commit = state.created, state.versions.get(COMMIT)
    return {
        **({"mlflow.source.git.commit": commit} if commit else {}),
        "hpo.study": created.study,
        "hpo.data_digest": created.data_digest,
        "hpo.code_digest": created.code_digest,
        "hpo.versions": _versions(state),
        "mlflow.source.name": "hpo",
    }


def _versions(state: StudyState) -> str:
    return ", ".join(f"{package} {version}" for package, version in state.versions.items())


def _open_stages(state: StudyState) -> list[str]:
    return [stage.stage for stage in state.stages.values() if stage.finished_at is None]


def _open_trials(state: StudyState) -> list[TrialState]:
    return [trial for trial in state.trials.values() if not trial.has_ended]
