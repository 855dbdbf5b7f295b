"""Which array gets a trial, and which is told to wait for it; the actors are stand-ins."""

from types import SimpleNamespace
from typing import Any

import pytest

from hpo.schedule.adapter import StudySearcher
from hpo.schedule.array_pool import ArrayPool
from hpo.schedule.trial_source import Pause
from hpo.tasks.base.splits import SplitRef
from hpo.trial.specification import TrialSpec

Call = tuple[Any, ...]
SPEC = TrialSpec(
    trial="bayes-0001",
    parameters={},
    seed=0,
    data_seed=1,
    study={},
    train=SplitRef(path="/cache/a", items=1),
    valid=SplitRef(path="/cache/b", items=1),
    precision="float32",
    device="cuda",
    folder="/runs/trial",
)


@pytest.fixture
def calls() -> list[Call]:
    """Calls of the actors, in order."""
    return []


@pytest.fixture
def pool(calls: list[Call]) -> ArrayPool:
    def actor(name: str) -> Any:
        def method(called: str) -> Any:
            return SimpleNamespace(remote=lambda *args, **kwargs: calls.append((name, called, *args, kwargs)))

        return SimpleNamespace(
            **{called: method(called) for called in ("expect", "expect_no_longer", "leave")}
        )

    made: Any = object.__new__(ArrayPool)
    made._actors = {name: actor(name) for name in ("first", "second")}
    made._home, made._announced = {}, 0
    return made  # type: ignore[no-any-return]


class Source:
    """Has the trials of ``answers``; notes which actors had been told before it was asked."""

    def __init__(self, answers: list[Any], calls: list[Call]) -> None:
        self._answers, self._calls = answers, calls
        self.told_before: list[Call] = []

    def should_end(self) -> bool:
        return False

    def next_spec(self) -> Any:
        self.told_before.append(self._calls[-1])
        return self._answers.pop(0)


def searcher(source: Any, pool: ArrayPool) -> StudySearcher:
    return StudySearcher(source, 1, pool)


def test_array_that_gets_the_next_trial_is_told_before_the_proposal_is_made(
    pool: ArrayPool, calls: list[Call]
) -> None:
    source = Source([SPEC, None, Pause.WAIT], calls)
    suggest = searcher(source, pool).suggest
    config = suggest("a")
    assert isinstance(config, dict) and config["array"] == "first"
    assert source.told_before == [("first", "expect", "proposal 1", {})]
    assert calls[1:] == [("first", "expect", SPEC.trial, {"instead_of": "proposal 1"})]
    for answer in ("FINISHED", None):
        calls.clear()
        assert suggest("b") == answer
        ticket = calls[0][2]
        assert calls == [("second", "expect", ticket, {}), ("second", "expect_no_longer", ticket, {})]


def test_trials_are_spread_over_the_arrays(pool: ArrayPool) -> None:
    names = [pool.assign(f"bayes-{number}", pool.announce()) for number in range(4)]
    assert names == ["first", "second", "first", "second"]
