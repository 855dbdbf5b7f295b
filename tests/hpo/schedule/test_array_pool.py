"""Which array gets a trial, and which is told to wait for it; the actors are stand-ins."""

from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest
from ray.exceptions import RayActorError

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


class Actors:
    """Ray with stand-ins of two actors."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        """Calls of the actors, in order."""
        self.silent: set[str] = set()
        """Actors that have not started."""
        self.dead: set[str] = set()
        """Actors that have no place to start again."""

    def named(self, name: str) -> Any:
        def call(method: str, *args: Any, **words: Any) -> str:
            if args != ("",):  # a question whether it answers
                self.calls.append((name, method, *args, words))
            return name

        methods = ("expect", "expect_no_longer", "leave")
        return SimpleNamespace(
            **{method: SimpleNamespace(remote=partial(call, method)) for method in methods}
        )

    def wait(self, questions: list[str], timeout: float) -> tuple[list[str], list[str]]:
        return [name for name in questions if name not in self.silent], []

    def get(self, question: str) -> None:
        if question in self.dead:
            raise RayActorError


@pytest.fixture
def actors(monkeypatch: pytest.MonkeyPatch) -> Actors:
    made = Actors()
    monkeypatch.setattr("ray.wait", made.wait)
    monkeypatch.setattr("ray.get", made.get)
    remote = iter(("first", "second"))
    options = SimpleNamespace(remote=lambda **words: made.named(next(remote)))
    monkeypatch.setattr("ray.remote", lambda kind: SimpleNamespace(options=lambda **words: options))
    return made


@pytest.fixture
def pool(actors: Actors) -> ArrayPool:
    made = ArrayPool(arrays=2, slots=2, threads=1, gpus=0)
    made._actors = dict(zip(("first", "second"), made._actors.values(), strict=True))
    made._questions = {name: name for name in made._actors}
    return made


@pytest.fixture
def calls(actors: Actors) -> list[Call]:
    return actors.calls


def assigned(pool: ArrayPool, trial: str) -> str | None:
    ticket = pool.announce()
    return ticket and pool.assign(trial, ticket)


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


def test_trials_are_spread_over_the_arrays_until_all_are_full(pool: ArrayPool, calls: list[Call]) -> None:
    names = [assigned(pool, f"bayes-{number}") for number in range(5)]
    assert names == ["first", "second", "first", "second", None]
    assert searcher(Source([], calls), pool).suggest("e") is None
    pool.release("bayes-1")
    assert assigned(pool, "bayes-5") == "second"


def test_array_that_never_starts_or_is_lost_gets_no_trial(pool: ArrayPool, actors: Actors) -> None:
    actors.silent = {"first", "second"}
    assert assigned(pool, "bayes-0") is None
    actors.silent = {"first"}
    assert [assigned(pool, f"bayes-{number}") for number in range(3)] == ["second", "second", None]
    actors.silent = set()
    assert assigned(pool, "bayes-3") == "first"
    actors.dead = {"first"}
    assert assigned(pool, "bayes-4") is None
    pool.release("bayes-0")
    assert assigned(pool, "bayes-5") == "second"


def test_when_all_arrays_are_lost_a_trial_finds_out_why(pool: ArrayPool, actors: Actors) -> None:
    assert assigned(pool, "bayes-0") == "first"
    actors.dead = {"first", "second"}
    assert assigned(pool, "bayes-1") is None
    pool.release("bayes-0")
    assert assigned(pool, "bayes-2") is not None


def test_trial_that_has_moved_leaves_the_array_that_trains_it(pool: ArrayPool, calls: list[Call]) -> None:
    assert assigned(pool, "bayes-0") == "first"
    assert not pool.record_move("bayes-0", "first")
    assert pool.record_move("bayes-0", "second") and not pool.record_move("bayes-0", "second")
    assert pool.home("bayes-0") == "second"
    calls.clear()
    pool.release("bayes-0")
    assert calls == [(name, "leave", "bayes-0", {}) for name in ("first", "second")]
