"""A study's trials as Ray Tune wants them: a searcher that hands them out, a callback that listens."""

from typing import Any

from ray.tune import Callback
from ray.tune.experiment import Trial
from ray.tune.search import Searcher

from hpo.schedule.feed import Pause, TrialFeed
from hpo.trial.run import Report


class _DriverOnly:
    """Tune writes its searcher and callbacks to its own files; ours hold nothing worth keeping there."""

    def __getstate__(self) -> dict[str, Any]:
        return {}


class FeedSearcher(_DriverOnly, Searcher):
    """Hands out the trials of a feed. What a trial reached is told to the feed by ``FeedCallback``."""

    def __init__(self, feed: TrialFeed, threads: int) -> None:
        # Tune hands metric and mode to a searcher only where there is a param_space, and there is none.
        super().__init__(metric="score", mode="max")
        self._feed, self._threads = feed, threads

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:
        """The next trial's task as its configuration; None makes Tune ask again later."""
        task = self._feed.next_task()
        if task is None:
            return str(Searcher.FINISHED)
        if task is Pause.WAIT:
            return None
        return {"task": task.to_json(), "threads": self._threads}

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        """Do nothing; see ``FeedCallback``."""

    def save(self, checkpoint_path: str) -> None:
        """Do nothing: the journal is the truth, a resumed study starts a fresh Tuner."""

    def restore(self, checkpoint_path: str) -> None:
        """Do nothing; see ``save``."""


class FeedCallback(_DriverOnly, Callback):
    """Tells the feed what happens to its trials."""

    def __init__(self, feed: TrialFeed) -> None:
        self._feed = feed

    def on_trial_start(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """Pass on that a process took the trial."""
        self._feed.started(_name(trial))

    def on_trial_result(
        self, iteration: int, trials: list[Trial], trial: Trial, result: dict[str, Any], **info: Any
    ) -> None:
        """Pass on a validation, the end of a trial, or its failure."""
        if "failed" in result:
            self._feed.failed(_name(trial), result["failed"])
            return
        self._feed.reported(_name(trial), Report(result["epoch"], result["metrics"], result["train_s"]))
        if result["done"]:
            self._feed.finished(_name(trial))

    def on_trial_error(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """Pass on that the trial's process died more often than Tune restarts it."""
        self._feed.failed(_name(trial), f"its process died {trial.num_failures} times")


def _name(trial: Trial) -> str:
    return str(trial.config["task"]["trial"])
