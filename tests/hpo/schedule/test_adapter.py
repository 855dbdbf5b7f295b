"""Tune's side of the feed, without Tune: who is told what, and what is answered."""

from types import SimpleNamespace
from typing import Any

import pytest
from ray.tune.utils import flatten_dict

from hpo.schedule.adapter import FeedCallback, FeedScheduler
from hpo.schedule.feed import Pause
from hpo.trial.report import Report
from hpo.trial.task import TrialTask

TRIAL: Any = SimpleNamespace(config={"task": {"trial": "bayes-0001"}}, num_failures=3)


class Feed:
    """Notes what it hears; lets trials go on or not."""

    def __init__(self, *, goes_on: bool = True) -> None:
        self.heard: list[tuple[Any, ...]] = []
        self._goes_on = goes_on

    def next_task(self) -> TrialTask | Pause | None:
        return None

    def started(self, trial: str) -> None:
        self.heard.append(("started", trial))

    def reported(self, trial: str, report: Report) -> bool:
        self.heard.append(("reported", trial, report))
        return self._goes_on

    def finished(self, trial: str) -> None:
        self.heard.append(("finished", trial))

    def failed(self, trial: str, reason: str) -> None:
        self.heard.append(("failed", trial, reason))

    def noted(self, message: str) -> None:
        self.heard.append(("noted", message))


class Pool:
    """Notes which trials it is told to let go."""

    def __init__(self) -> None:
        self.released: list[str] = []

    def release(self, trial: str) -> None:
        self.released.append(trial)


def result(*, finished: bool) -> dict[str, Any]:
    metrics = [("average_map", 0.5), ("ap/goal", 0.25)]
    common = {"epoch": 4, "metrics": metrics, "train_s": 2.0, "score": 0.5, "notes": ["array of 2"]}
    return {**common, "finished": finished, "done": finished}


REPORT = Report(4, {"average_map": 0.5, "ap/goal": 0.25}, 2.0)


@pytest.mark.parametrize(("goes_on", "answer"), [(True, "CONTINUE"), (False, "STOP")])
def test_scheduler_passes_a_validation_on_and_answers_as_the_feed_does(goes_on: bool, answer: str) -> None:
    feed, pool = Feed(goes_on=goes_on), Pool()
    flat = flatten_dict(result(finished=False))  # as Tune hands it to schedulers
    assert FeedScheduler(feed, pool).on_trial_result(None, TRIAL, flat) == answer
    assert feed.heard == [("noted", "array of 2"), ("reported", "bayes-0001", REPORT)]
    # Tune keeps the process of a stopped trial for later: its array must not wait for it.
    assert pool.released == ([] if goes_on else ["bayes-0001"])


def test_trial_that_was_stopped_is_not_told_as_finished() -> None:
    feed, pool = Feed(), Pool()
    stopped = result(finished=False)
    stopped["done"] = True  # Tune writes it on a stop
    FeedCallback(feed, pool).on_trial_result(1, [], TRIAL, stopped)
    assert feed.heard == [] and pool.released == []


def test_last_validation_and_failures_come_by_the_callback() -> None:
    feed, pool = Feed(), Pool()
    FeedCallback(feed, pool).on_trial_result(1, [], TRIAL, result(finished=True))
    assert feed.heard[1:] == [("reported", "bayes-0001", REPORT), ("finished", "bayes-0001")]
    FeedCallback(feed, pool).on_trial_result(1, [], TRIAL, {"failed": "NaN", "done": True})
    FeedCallback(feed, pool).on_trial_error(1, [], TRIAL)
    assert pool.released == 3 * ["bayes-0001"]
    assert feed.heard[3:] == [
        ("failed", "bayes-0001", "NaN"),
        ("failed", "bayes-0001", "its process died 3 times"),
    ]
