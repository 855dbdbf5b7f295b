"""Which array gets a trial, and which is told to wait for it; the actors are stand-ins."""

import traceback
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ray.exceptions import RayActorError
from ray.tune import TuneError

from hpo.schedule.adapter import StudySearcher
from hpo.schedule.array_pool import FRESH_S, ArrayPool
from hpo.schedule.local_ray import WorkersLostError
from hpo.schedule.trial_source import Pause
from hpo.schedule.tuner import NO_ARRAY_S, Parallelism, _has_started, run_trials
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
        self.now = 0.0

    def named(self, name: str) -> Any:
        def call(method: str, *args: Any, **words: Any) -> str:
            if method != "answers":
                self.calls.append((name, method, *args, words))
            return name

        methods = ("answers", "expect", "expect_no_longer", "leave")
        return SimpleNamespace(
            **{method: SimpleNamespace(remote=partial(call, method)) for method in methods}
        )

    def wait(self, questions: list[str], timeout: float, num_returns: int = 1) -> tuple[list[str], list[str]]:
        return [name for name in questions if name not in self.silent], []

    def get(self, question: str) -> None:
        if question in self.dead:
            raise RayActorError(error_msg="ImportError: no such module")


@pytest.fixture
def actors(monkeypatch: pytest.MonkeyPatch) -> Actors:
    made = Actors()
    monkeypatch.setattr("ray.wait", made.wait)
    monkeypatch.setattr("ray.get", made.get)
    monkeypatch.setattr("hpo.schedule.array_pool.time.monotonic", lambda: made.now)
    remote = iter(("first", "second"))
    options = SimpleNamespace(remote=lambda **words: made.named(next(remote)))
    monkeypatch.setattr("ray.remote", lambda kind: SimpleNamespace(options=lambda **words: options))
    return made


@pytest.fixture
def pool(actors: Actors) -> ArrayPool:
    made = ArrayPool(arrays=2, slots=2, threads=1, gpus=0)
    made._actors = dict(zip(("first", "second"), made._actors.values(), strict=True))
    made._questions = {name: name for name in made._actors}
    made._asked_at = dict.fromkeys(made._actors, 0.0)
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


def test_no_array_is_told_of_a_proposal_until_the_result_that_the_study_waits_for(
    pool: ArrayPool, calls: list[Call]
) -> None:
    tune = searcher(Source([Pause.WAIT, Pause.WAIT, SPEC], calls), pool)
    for tell in (
        lambda: tune.on_trial_result("a", {}),
        lambda: tune.on_trial_complete("a", error=True),
    ):
        assert tune.suggest("b") is None
        calls.clear()
        assert tune.suggest("b") is None and calls == []
        tell()
    assert isinstance(tune.suggest("b"), dict)


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


def test_answer_of_long_ago_does_not_count(pool: ArrayPool, actors: Actors) -> None:
    assert pool.answers()
    pool._questions["first"] = "first, before it died"
    actors.dead = {"first"}
    actors.now = FRESH_S
    assert assigned(pool, "bayes-0") == "second"
    actors.silent = {"second"}  # it was asked long ago, and has not answered since
    actors.now += FRESH_S
    assert assigned(pool, "bayes-1") is None


def test_arrays_that_fail_as_they_start_are_an_error_and_those_without_a_place_are_not(
    pool: ArrayPool, actors: Actors
) -> None:
    actors.dead, actors.silent = {"first"}, {"second"}
    assert not pool.answers()
    actors.dead, actors.silent = {"first", "second"}, set()
    assert not pool.answers()  # Ray may start them once more
    with pytest.raises(WorkersLostError, match="cannot start: ImportError: no such module"):
        pool.answers()
    actors.dead = {"second"}
    assert pool.answers()


class WaitingSource:
    """A study that ends, for a limit or at the user's request, while no array has started."""

    def __init__(self, actors: Actors) -> None:
        self._actors = actors
        self.notes: list[str] = []

    def should_end(self) -> bool:
        self._actors.now += NO_ARRAY_S / 2
        return self._actors.now > 3 * NO_ARRAY_S

    def add_note(self, message: str) -> None:
        self.notes.append(message)


def test_study_without_an_array_says_so_once_and_can_be_ended(
    pool: ArrayPool, actors: Actors, monkeypatch: pytest.MonkeyPatch
) -> None:
    source: Any = WaitingSource(actors)
    monkeypatch.setattr("hpo.schedule.tuner.time.sleep", lambda seconds: None)
    actors.silent = {"first", "second"}
    assert not _has_started(pool, source)
    assert len(source.notes) == 1 and "waits for a free place" in source.notes[0]
    actors.silent = {"first"}
    assert _has_started(pool, source)


def test_loss_of_all_arrays_reaches_the_stage_through_tune(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def fit() -> None:
        try:
            raise WorkersLostError("no array answers")
        except WorkersLostError:
            raise TuneError(traceback.format_exc())  # noqa: B904 - as Tune does it

    monkeypatch.setattr("ray.tune.Tuner", lambda *args, **options: SimpleNamespace(fit=fit))
    alone = Parallelism(concurrent=1, array=1, cpus=1, gpu=False)
    with pytest.raises(WorkersLostError, match=r"^no array answers$"):
        run_trials(Source([], []), alone, storage=tmp_path)  # type: ignore[arg-type]


def test_when_all_arrays_are_lost_a_trial_finds_out_why(pool: ArrayPool, actors: Actors) -> None:
    assert assigned(pool, "bayes-0") == "first"
    actors.dead = {"first", "second"}
    assert assigned(pool, "bayes-1") is None
    pool.release("bayes-0")
    assert assigned(pool, "bayes-2") is not None


def test_trial_that_has_moved_leaves_the_array_that_trains_it(pool: ArrayPool, calls: list[Call]) -> None:
    assert assigned(pool, "bayes-0") == "first"
    pool.record_move("bayes-0", "second")
    assert pool.home("bayes-0") == "second"
    calls.clear()
    pool.release("bayes-0")
    assert calls == [(name, "leave", "bayes-0", {}) for name in ("first", "second")]
