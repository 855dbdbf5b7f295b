"""Adapter between a study and Ray Tune: a Tune searcher, scheduler and callback around a trial source."""

from pathlib import Path
from typing import Any

from ray.exceptions import RayTaskError
from ray.tune import Callback, Stopper
from ray.tune.experiment import Trial
from ray.tune.progress_reporter import ProgressReporter
from ray.tune.schedulers import FIFOScheduler
from ray.tune.search import Searcher

from hpo.schedule.array_pool import ArrayPool
from hpo.schedule.hang_detector import HangDetector
from hpo.schedule.interruption import Interrupter
from hpo.schedule.local_ray import WorkersLostError, death_of_ray
from hpo.schedule.trial_source import Pause, TrialSource
from hpo.trial import in_training
from hpo.trial.report import Report
from hpo.trial.specification import TrialSpec
from model.errors import StorageError
from model.wording import described


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
        self._waits = False
        """Whether the study waits for a result: no array is told of a proposal before."""

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:
        """Return the next trial's specification as its Tune config; None makes Tune ask again later."""
        spec, home = self._next_spec()
        if spec is None:
            return str(Searcher.FINISHED)
        if spec is Pause.WAIT:
            return None
        return {"spec": spec.to_json(), "threads": self._threads, **home}

    def _next_spec(self) -> tuple[TrialSpec | Pause | None, dict[str, Any]]:
        """Return the next trial and the array that trains it, which waits while the proposal is made."""
        if self._arrays is None:
            return self._source.next_spec(), {"array": None, "other_arrays": []}
        ticket = None if self._waits else self._arrays.announce()
        if ticket is None:
            return Pause.WAIT, {}
        spec = self._source.next_spec()
        if isinstance(spec, TrialSpec):
            return spec, self._arrays.home_of(self._arrays.assign(spec.trial, ticket))
        self._arrays.withdraw(ticket)
        self._waits = spec is Pause.WAIT
        return spec, {}

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        """Wait no longer; ``StudyScheduler`` has reported the result."""
        self._waits = False

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        """Wait no longer: the end of the trial has been reported."""
        self._waits = False

    def save(self, checkpoint_path: str) -> None:
        """Do nothing: a resumed study starts a new Tuner and reads the journal."""

    def restore(self, checkpoint_path: str) -> None:
        """Do nothing: a resumed study starts a new Tuner and reads the journal."""


class StudyScheduler(_DriverOnly, FIFOScheduler):
    """Tune scheduler that reports validations and failures to a study and stops trials as the study decides.

    Tune calls its scheduler with a result before all callbacks and acts on the answer afterwards. The study
    has then written both result and decision to its journal.
    """

    def __init__(self, source: TrialSource, arrays: ArrayPool | None, interrupter: Interrupter) -> None:
        super().__init__()
        self._source, self._arrays, self._interrupter = source, arrays, interrupter

    def on_trial_result(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> str:
        """Report a result to the study and return Tune's decision: STOP or CONTINUE."""
        name = _name(trial)
        continues = self._continues(trial, result)
        if not continues and self._arrays:
            self._arrays.release(name)
        # Tune would give the process of a stopped trial to the next one, but a killed process has ended.
        continues = continues or self._interrupter.has_killed(name)
        return str(FIFOScheduler.CONTINUE if continues else FIFOScheduler.STOP)

    def _continues(self, trial: Trial, result: dict[str, Any]) -> bool:
        name = _name(trial)
        for note in result.get("notes", ()):  # none if the trial's process has no array that answers
            self._source.add_note(note)
        if "unwritable" in result:
            raise StorageError(result["unwritable"])
        if "changed" in result:
            raise self._source.code_changed()
        if "lost" in result:
            raise WorkersLostError(result["lost"])
        if "failed" in result:
            self._source.failed(name, result["failed"])
            return False
        if self._arrays and "moved" in result:
            self._arrays.record_move(name, result["moved"])
            trial.config |= self._arrays.home_of(result["moved"])  # for its next process
            self._source.add_note(
                f"{name} moved to another array: the process of its own did not start again"
            )
            return True
        self._source.trained_on(name, result["host"])
        continues = self._source.reported(name, _report(result))
        if result["finished"]:
            self._source.finished(name)
        return continues and not result["finished"]


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
    """Tune callback that reports to a study which processes of trials start and die, and watches over them.

    ``StudyScheduler`` reports their results.
    """

    def __init__(
        self,
        source: TrialSource,
        arrays: ArrayPool | None,
        detector: HangDetector,
        interrupter: Interrupter,
    ) -> None:
        self._source, self._arrays = source, arrays
        self._detector, self._interrupter = detector, interrupter
        self._resources: dict[Any, Any] = {}

    def on_step_end(self, iteration: int, trials: list[Trial], **info: Any) -> None:
        """Kill trials that hang or should end, and leave Tune if Ray has died.

        Tune calls this about ten times a second.
        """
        if death := death_of_ray():
            raise death
        for name in self._interrupter.kill_requested():
            self._detector.forget(name)
        self._detector.kill_hanging()

    def on_trial_start(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """Report that a process has started to train the trial."""
        # Tune unpickles them anew for every trial, and keeps all of them; they are equal.
        needed = trial.placement_group_factory
        trial.placement_group_factory = self._resources.setdefault(needed, needed)
        self._detector.record_activity(_name(trial), trial)
        self._interrupter.record_start(_name(trial), trial)
        self._source.started(_name(trial))

    def on_trial_result(
        self, iteration: int, trials: list[Trial], trial: Trial, result: dict[str, Any], **info: Any
    ) -> None:
        """Record that a trial is active, or that it has ended; Tune sets ``done`` in its last result."""
        if result["done"]:
            self._forget(trial)
        elif not self._interrupter.has_killed(_name(trial)):
            self._detector.record_activity(_name(trial), trial)

    def on_trial_recover(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """Tell the user of a process that died, and stop watching its trial until the next process starts."""
        name = _name(trial)
        if self._detector.watches(name):
            self._source.add_note(f"the process of {name} died; the trial resumes from its checkpoint")
        self._forget(trial)

    def on_trial_error(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """Report a trial whose process was killed to end it, or died more often than Tune restarts it."""
        name = _name(trial)
        if self._arrays:  # first: the study removes files of the trial, which its array may be writing
            self._arrays.release(name)
        if self._interrupter.has_killed(name):
            self._source.stopped(name)
        else:
            self._source.failed(name, self._detector.failure_reason(name) or _why_lost(trial))
        self._forget(trial)
        _forget_content(trial)

    def on_trial_complete(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """Free the memory of a trial that has ended; ``StudyScheduler`` reported it."""
        _forget_content(trial)

    def _forget(self, trial: Trial) -> None:
        self._detector.forget(_name(trial))
        self._interrupter.forget(_name(trial))


def _forget_content(trial: Trial) -> None:
    """Drop what Tune keeps of an ended trial except its name; in a long study it would fill the memory.

    The journal holds all of it. The specification, and the statistics that Tune makes of every metric, are
    about 0.1 MB a trial.
    """
    trial.config["spec"] = {"trial": _name(trial)}
    trial.evaluated_params, trial.experiment_tag = {}, ""
    trial.run_metadata.metric_analysis, trial.run_metadata.metric_n_steps = {}, {}
    trial.run_metadata.last_result = {}


def _why_lost(trial: Trial) -> str:
    error = trial.get_pickled_error()
    if isinstance(error, RayTaskError):  # it lives: Tune could not prepare it for the trial
        return f"the process of the trial failed: {described(error.cause)}"
    times = "once" if trial.num_failures == 1 else f"{trial.num_failures} times"
    died = f"the process of the trial died {times}"
    death = in_training.read(Path(trial.config["spec"]["folder"]))
    return f"{died}: {death}" if death else died


def _report(result: dict[str, Any]) -> Report:
    return Report(result["epoch"], dict(result["metrics"]), result["train_s"], result["score"])


def _name(trial: Trial) -> str:
    return str(trial.config["spec"]["trial"])


class NoReporter(ProgressReporter):
    """Reporter that shows nothing; in a notebook, Tune's own clears the output of the cell."""

    def should_report(self, trials: list[Trial], done: bool = False) -> bool:
        """Return False."""
        return False
