"""What every searcher promises, whatever it is called."""

import math
from collections.abc import Callable
from typing import get_args

import numpy as np
import pytest

from hpo.config.stages import SearcherName
from hpo.search.build import build_searcher
from hpo.search.searcher import Searcher
from hpo.space.parameters import ChoiceParameter, FloatParameter, IntParameter
from hpo.space.space import Parameters, Space

mixed = Space([IntParameter("f", 4, 64, log=True), FloatParameter("beta", 0.05, 5.0, log=True)])
finite = Space([IntParameter("n", 1, 4), ChoiceParameter("c", ("a", "b", "c"))])
FIRST: Parameters = {"f": 16, "beta": 0.5}

Build = Callable[..., Searcher]
Event = tuple[str, str, Parameters | float | None]


@pytest.fixture(params=get_args(SearcherName))
def build(request: pytest.FixtureRequest) -> Build:
    def build_named(
        space: Space = mixed, seed: int = 7, first: tuple[Parameters, ...] = (FIRST,)
    ) -> Searcher:
        return build_searcher(request.param, space, seed=seed, first=first if space is mixed else ())

    return build_named


def score_of(parameters: Parameters) -> float:
    """A smooth hill with its top of 1 at f = 24, beta = 0.3."""
    f, beta = float(parameters["f"]), float(parameters["beta"])
    return math.exp(-(math.log(f / 24) ** 2) - math.log(beta / 0.3) ** 2)


def ask_and_tell(searcher: Searcher, trials: int) -> list[Parameters]:
    points = []
    for number in range(trials):
        point = searcher.ask(f"t{number}")
        assert point is not None
        searcher.tell(f"t{number}", score_of(point))
        points.append(point)
    return points


def live_run(searcher: Searcher, *, seed: int, trials: int) -> list[Event]:
    """Ask ``trials`` times; in between, trials end in any order, by a score, by NaN or by failing."""
    rng = np.random.default_rng(seed)
    events: list[Event] = []
    running: dict[str, Parameters] = {}
    while len(searcher.trials) < trials:
        if len(running) < 3 and rng.random() < 0.6:
            trial = f"t{len(searcher.trials)}"
            parameters = searcher.ask(trial)
            assert parameters is not None
            running[trial] = parameters
            events.append(("ask", trial, parameters))
        elif running:
            trial = str(rng.choice(sorted(running)))
            score = rng.choice([score_of(running.pop(trial)), math.nan, -1.0], p=[0.7, 0.15, 0.15])
            apply(searcher, event := ("fail", trial, None) if score < 0 else ("tell", trial, float(score)))
            events.append(event)
    return events


def apply(searcher: Searcher, event: Event) -> None:
    kind, trial, value = event
    if kind == "fail":
        searcher.fail(trial)
    elif isinstance(value, dict):
        searcher.replay(trial, value)
    elif isinstance(value, float):
        searcher.tell(trial, value)


def test_every_point_is_in_bounds(build: Build) -> None:
    assert all(mixed.contains(point) for point in ask_and_tell(build(), 10))


def test_known_good_points_come_first(build: Build) -> None:
    assert build().ask("t0") == FIRST


def test_same_seed_gives_the_same_points_and_another_seed_others(build: Build) -> None:
    points = ask_and_tell(build(), 9)
    assert ask_and_tell(build(), 9) == points
    others = ask_and_tell(build(seed=8), 9)
    assert all(one != other for one, other in zip(points[1:], others[1:], strict=True))


@pytest.mark.parametrize("seed", [0, 1])
def test_stopped_anywhere_and_rebuilt_it_goes_on_with_the_same_points(build: Build, seed: int) -> None:
    events = live_run(build(), seed=seed, trials=11)
    for place, (kind, trial, parameters) in enumerate(events):
        if kind == "ask":
            rebuilt = build()
            for event in events[:place]:
                apply(rebuilt, event)
            assert rebuilt.ask(trial) == parameters


def test_order_in_which_trials_end_does_not_matter(build: Build) -> None:
    one, other = build(), build()
    points = {f"t{number}": one.ask(f"t{number}") for number in range(8)}
    for trial, point in points.items():
        assert point is not None
        other.replay(trial, point)
    for trial in points:
        one.tell(trial, score_of(points[trial] or FIRST))
    for trial in reversed(points):
        other.tell(trial, score_of(points[trial] or FIRST))
    assert one.ask("next") == other.ask("next")


def test_nothing_but_failures_does_not_stop_it(build: Build) -> None:
    searcher = build()
    for number in range(9):
        assert searcher.ask(f"t{number}") is not None
        searcher.tell(f"t{number}", math.nan) if number % 2 else searcher.fail(f"t{number}")


def test_nothing_but_running_trials_does_not_stop_it(build: Build) -> None:
    searcher = build()
    points = [searcher.ask(f"t{number}") for number in range(9)]
    assert len({tuple(point.values()) for point in points if point}) == 9


def test_the_same_point_replayed_for_several_trials_does_not_stop_it(build: Build) -> None:
    searcher = build()
    for number in range(8):
        searcher.replay(f"t{number}", FIRST if number % 2 else {"f": 8, "beta": 1.0})
        searcher.tell(f"t{number}", number / 10)
    point = searcher.ask("next")
    assert point not in (None, FIRST, {"f": 8, "beta": 1.0})


def test_finite_space_is_visited_once_and_then_used_up(build: Build) -> None:
    searcher = build(space=finite)
    points = []
    for number in range(12):
        point = searcher.ask(f"t{number}")
        assert point is not None
        points.append(tuple(point.values()))
        if number % 3:
            searcher.tell(f"t{number}", float(point["n"]) / 10)
    assert sorted(points) == sorted(tuple(point.values()) for point in finite.grid())
    assert searcher.ask("one more") is None
    searcher.tell("t0", 0.5)
    assert searcher.ask("one more") is None


def test_nothing_is_printed(build: Build, capfd: pytest.CaptureFixture[str]) -> None:
    ask_and_tell(build(), 8)
    assert capfd.readouterr() == ("", "")


five = Space(
    [
        IntParameter("f", 4, 64, log=True),
        IntParameter("r_frames", 20, 160, log=True),
        FloatParameter("alpha2", 0.5, 50.0, log=True),
        FloatParameter("beta", 0.05, 5.0, log=True),
        FloatParameter("lambda_seg", 0.05, 15.0, log=True),
    ]
)
TOP = np.array([0.5, 0.62, 0.45, 0.55, 0.6])
STEEPNESS = np.array([1.5, 3.0, 0.3, 1.0, 2.5])


def regret(searcher: Searcher, *, trials: int, seed: int) -> float:
    """How far the point with the best noisy score lies below the top, 0.45, of a hill."""
    noise = np.random.default_rng(seed).normal(0.0, 0.03, trials)
    true_scores, scores = [], []
    for number in range(trials):
        point = searcher.ask(f"t{number}")
        assert point is not None
        true_scores.append(0.45 * math.exp(-(STEEPNESS @ (five.to_unit(point) - TOP) ** 2)))
        scores.append(true_scores[-1] + noise[number])
        searcher.tell(f"t{number}", scores[-1])
    return 0.45 - true_scores[int(np.argmax(scores))]


@pytest.mark.parametrize("name", [name for name in get_args(SearcherName) if name != "random"])
def test_finds_better_points_than_random_search_with_as_many_trials(name: str) -> None:
    seeds = range(3)
    learnt = [regret(build_searcher(name, five, seed=seed), trials=15, seed=seed) for seed in seeds]
    lucky = [regret(build_searcher("random", five, seed=seed), trials=15, seed=seed) for seed in range(30)]
    assert np.mean(learnt) < 0.8 * np.mean(lucky)
