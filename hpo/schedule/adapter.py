"""A study's trials as Ray Tune wants them: handed out by a searcher, heard by a scheduler and a callback."""

from typing import Any

from ray.tune import Callback
from ray.tune.experiment import Trial
from ray.tune.schedulers import FIFOScheduler
from ray.tune.search import Searcher

from hpo.schedule.arrays import ArrayPool
from hpo.schedule.feed import Pause, TrialFeed
from hpo.schedule.hangs import HangWatch
from hpo.trial.report import Report
from model.errors import StorageError


class _DriverOnly:
    """Tune writes what it is given to its own files; ours holds nothing worth keeping there."""

    def __getstate__(self) -> dict[str, Any]:
        return {}


class FeedSearcher(_DriverOnly, Searcher):
    """Hands out the trials of a feed. What a trial reached is told to the feed by ``FeedCallback``."""

    def __init__(self, feed: TrialFeed, threads: int, arrays: ArrayPool | None) -> None:
        # Tune hands metric and mode to a searcher only where there is a param_space, and there is none.
        super().__init__(metric="score", mode="max")
        self._feed, self._threads, self._arrays = feed, threads, arrays

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:
        """The next trial's spec as its configuration; None makes Tune ask again later."""
        spec = self._feed.next_spec()
        if spec is None:
            return str(Searcher.FINISHED)
        if spec is Pause.WAIT:
            return None
        array = self._arrays.take(spec.trial) if self._arrays else None
        return {"spec": spec.to_json(), "threads": self._threads, "array": array}

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        """Do nothing; see ``FeedCallback``."""

    def save(self, checkpoint_path: str) -> None:
        """Do nothing: the journal is the truth, a resumed study starts a fresh Tuner."""

    def restore(self, checkpoint_path: str) -> None:
        """Do nothing; see ``save``."""


class FeedScheduler(_DriverOnly, FIFOScheduler):
    """Tells the feed of validations, and stops the trials that it does not let go on.

    Tune asks its scheduler about a result before anybody else hears of it, and acts on the answer after that:
    the feed has both in its journal by then. Results that end a trial by themselves do not come here.
    """

    def __init__(self, feed: TrialFeed, arrays: ArrayPool | None) -> None:
        super().__init__()
        self._feed, self._arrays = feed, arrays

    def on_trial_result(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> str:
        """Pass on a validation; STOP or CONTINUE."""
        _pass_notes(self._feed, result)
        goes_on = self._feed.reported(_name(trial), _report(result))
        if not goes_on and self._arrays:
            self._arrays.release(_name(trial))
        return str(FIFOScheduler.CONTINUE if goes_on else FIFOScheduler.STOP)


class FeedCallback(_DriverOnly, Callback):
    """Tells the feed how its trials begin and end; see ``FeedScheduler`` for what lies between."""

    def __init__(self, feed: TrialFeed, arrays: ArrayPool | None, watch: HangWatch) -> None:
        self._feed, self._arrays, self._watch = feed, arrays, watch

    def on_step_end(self, iteration: int, trials: list[Trial], **info: Any) -> None:
        """Look for trials that hang; Tune comes by ten times a second."""
        self._watch.kill_silent()

    def on_trial_start(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """Pass on that a process took the trial."""
        self._watch.heard(_name(trial), trial)
        self._feed.started(_name(trial))

    def on_trial_result(
        self, iteration: int, trials: list[Trial], trial: Trial, result: dict[str, Any], **info: Any
    ) -> None:
        """Pass on the last validation of a trial, or its failure."""
        if "unwritable" in result:
            raise StorageError(result["unwritable"])
        # Not "done": Tune writes that into the result of a trial that is stopped, too.
        if "failed" in result:
            self._feed.failed(_name(trial), result["failed"])
        elif result["finished"]:
            _pass_notes(self._feed, result)
            self._feed.reported(_name(trial), _report(result))
            self._feed.finished(_name(trial))
        elif result["done"]:
            self._watch.ended(_name(trial))
            return
        else:
            self._watch.heard(_name(trial), trial)
            return
        self._release(trial)

    def on_trial_recover(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """Expect nothing of a trial between the death of its process and the start of the next one."""
        self._watch.ended(_name(trial))

    def on_trial_error(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """Pass on that the trial's process died more often than Tune restarts it."""
        died = f"its process died {trial.num_failures} times"
        self._feed.failed(_name(trial), self._watch.reason(_name(trial)) or died)
        self._release(trial)

    def _release(self, trial: Trial) -> None:
        self._watch.ended(_name(trial))
        if self._arrays:
            self._arrays.release(_name(trial))


def _pass_notes(feed: TrialFeed, result: dict[str, Any]) -> None:
    for note in result["notes"]:
        feed.noted(note)


def _report(result: dict[str, Any]) -> Report:
    return Report(result["epoch"], dict(result["metrics"]), result["train_s"], result["score"])


def _name(trial: Trial) -> str:
    return str(trial.config["spec"]["trial"])
