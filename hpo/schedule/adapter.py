"""Adapter between a study and Ray Tune: a Tune searcher, scheduler and callback around a trial source."""

from typing import Any

from ray.tune import Callback, Stopper
from ray.tune.experiment import Trial
from ray.tune.progress_reporter import ProgressReporter
from ray.tune.schedulers import FIFOScheduler
from ray.tune.search import Searcher

from hpo.schedule.array_pool import ArrayPool
from hpo.schedule.hang_detector import HangDetector
from hpo.schedule.local_ray import death_of_ray
from hpo.schedule.trial_source import Pause, TrialSource
from hpo.trial.report import Report
from hpo.trial.specification import TrialSpec
from model.errors import StorageError


class _DriverOnly:
    """Excludes the state of an object from Tune's own files, which no resume reads."""

    def __getstate__(self) -> dict[str, Any]:
        return {}


class StudySearcher(_DriverOnly, Searcher):
    """Tune searcher that gets trials from a study; ``StudyCallback`` reports their results."""

    def __init__(self, source: TrialSource, threads: int, arrays: ArrayPool | None) -> None:
        # Tune sets metric and mode of a searcher only if there is a param_space, and there is none.
        super().__init__(metric="score", mode="max")
        self._source, self._threads, self._arrays = source, threads, arrays

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:
        """Return the next trial's specification as its Tune config; None makes Tune ask again later."""
        spec, array = self._next_spec()
        if spec is None:
            return str(Searcher.FINISHED)
        if spec is Pause.WAIT:
            return None
        return {"spec": spec.to_json(), "threads": self._threads, "array": array}

    def _next_spec(self) -> tuple[TrialSpec | Pause | None, str | None]:
        """Return the next trial and the array that trains it, which waits while the proposal is made."""
        if self._arrays is None:
            return self._source.next_spec(), None
        ticket = self._arrays.announce()
        spec = self._source.next_spec()
        if isinstance(spec, TrialSpec):
            return spec, self._arrays.assign(spec.trial, ticket)
        self._arrays.withdraw(ticket)
        return spec, None

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        """Do nothing: ``StudyCallback`` reports the result."""

    def save(self, checkpoint_path: str) -> None:
        """Do nothing: a resumed study starts a new Tuner and reads the journal."""

    def restore(self, checkpoint_path: str) -> None:
        """Do nothing: a resumed study starts a new Tuner and reads the journal."""


class StudyScheduler(_DriverOnly, FIFOScheduler):
    """Tune scheduler that reports validations to a study and stops trials as the study decides.

    Tune calls its scheduler with a result before all callbacks and acts on the answer afterwards. The study
    has then written both result and decision to its journal. Tune does not call the scheduler with results
    that end a trial by themselves.
    """

    def __init__(self, source: TrialSource, arrays: ArrayPool | None) -> None:
        super().__init__()
        self._source, self._arrays = source, arrays

    def on_trial_result(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> str:
        """Report a validation to the study and return Tune's decision: STOP or CONTINUE."""
        _pass_notes(self._source, result)
        continues = self._source.reported(_name(trial), _report(result))
        if not continues and self._arrays:
            self._arrays.release(_name(trial))
        return str(FIFOScheduler.CONTINUE if continues else FIFOScheduler.STOP)


class StudyStopper(_DriverOnly, Stopper):
    """Tune stopper that ends all training when the study decides so; trials keep their checkpoints."""

    def __init__(self, source: TrialSource) -> None:
        self._source = source

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        """Return False: ``StudyScheduler`` stops single trials."""
        return False

    def stop_all(self) -> bool:
        """Return whether all training should end now."""
        return self._source.should_end()


class StudyCallback(_DriverOnly, Callback):
    """Tune callback that reports starts, ends and failures of trials to a study.

    ``StudyScheduler`` reports the validations in between.
    """

    def __init__(self, source: TrialSource, arrays: ArrayPool | None, detector: HangDetector) -> None:
        self._source, self._arrays, self._detector = source, arrays, detector

    def on_step_end(self, iteration: int, trials: list[Trial], **info: Any) -> None:
        """Kill trials that hang, and leave Tune if Ray has died; Tune calls this about ten times a second."""
        if death := death_of_ray():
            raise death
        self._detector.kill_hanging()

    def on_trial_start(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """Report that a process has started to train the trial."""
        self._detector.record_activity(_name(trial), trial)
        self._source.started(_name(trial))

    def on_trial_result(
        self, iteration: int, trials: list[Trial], trial: Trial, result: dict[str, Any], **info: Any
    ) -> None:
        """Report the last validation of a trial, or its failure."""
        if "unwritable" in result:
            raise StorageError(result["unwritable"])
        # Not "done": Tune also sets it in the result of a trial that is stopped.
        if "failed" in result:
            self._source.failed(_name(trial), result["failed"])
        elif result["finished"]:
            _pass_notes(self._source, result)
            self._source.reported(_name(trial), _report(result))
            self._source.finished(_name(trial))
        elif result["done"]:
            self._detector.forget(_name(trial))
            return
        else:
            self._detector.record_activity(_name(trial), trial)
            return
        self._release(trial)

    def on_trial_recover(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """Stop watching a trial whose process died, until the next process starts."""
        self._detector.forget(_name(trial))

    def on_trial_error(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """Report a trial whose process died more often than Tune restarts it."""
        died = f"the process of the trial died {trial.num_failures} times"
        self._source.failed(_name(trial), self._detector.failure_reason(_name(trial)) or died)
        self._release(trial)
        _forget_content(trial)

    def on_trial_complete(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """Free the memory of a trial that has ended; ``on_trial_result`` reported it."""
        _forget_content(trial)

    def _release(self, trial: Trial) -> None:
        self._detector.forget(_name(trial))
        if self._arrays:
            self._arrays.release(_name(trial))


def _forget_content(trial: Trial) -> None:
    """Drop what Tune keeps of an ended trial except its name; in a long study it would fill the memory.

    The journal holds all of it. The specification, and the statistics that Tune makes of every metric, are
    about 0.1 MB a trial.
    """
    trial.config["spec"] = {"trial": _name(trial)}
    trial.evaluated_params = {}
    trial.run_metadata.metric_analysis, trial.run_metadata.metric_n_steps = {}, {}
    trial.run_metadata.last_result = {}


def _pass_notes(source: TrialSource, result: dict[str, Any]) -> None:
    for note in result["notes"]:
        source.add_note(note)


def _report(result: dict[str, Any]) -> Report:
    return Report(result["epoch"], dict(result["metrics"]), result["train_s"], result["score"])


def _name(trial: Trial) -> str:
    return str(trial.config["spec"]["trial"])


class NoReporter(ProgressReporter):
    """Reporter that shows nothing; in a notebook, Tune's own clears the output of the cell."""

    def should_report(self, trials: list[Trial], done: bool = False) -> bool:
        """Return False."""
        return False
