"""What every searcher promises, whatever it is called."""

import itertools
import json
import math
from collections.abc import Callable, Sequence
from typing import get_args

import numpy as np
import pytest

from hpo.config.stages import SearcherName
from hpo.search.build import build_searcher
from hpo.search.random_search import RandomSearcher
from hpo.search.searcher import ScoredPoint, Searcher
from hpo.space.parameters import ChoiceParameter, FloatParameter, IntParameter
from hpo.space.space import Parameters, Space
from model.errors import ConfigError

mixed = Space([IntParameter("f", 4, 64, log=True), FloatParameter("beta", 0.05, 5.0, log=True)])
kinds = Space(
    [
        IntParameter("n", -3, 3),
        IntParameter("m", 1, 1000, log=True),
        FloatParameter("x", -1.0, 1.0),
        ChoiceParameter("c", (8, 16, 32)),
        ChoiceParameter("word", ("adam", "sgd")),
        ChoiceParameter("fixed", ("none",)),
        FloatParameter("also fixed", 0.5, 0.5),
    ]
)
finite = Space([IntParameter("n", 1, 4), ChoiceParameter("c", ("a", "b", "c"))])
ENOUGH = 14
"""Trials after which every searcher that has a model asks it."""
FIRST: Parameters = {"f": 16, "beta": 0.5}

Build = Callable[..., Searcher]
Event = tuple[str, str, Parameters | float | None]


@pytest.fixture(params=get_args(SearcherName))
def build(request: pytest.FixtureRequest) -> Build:
    def build_named(space: Space = mixed, seed: int = 7, known: Sequence[ScoredPoint] = ()) -> Searcher:
        first = [FIRST] if space is mixed else []
        return build_searcher(request.param, space, seed=seed, first=first, known=known)

    return build_named


def known_points(count: int) -> list[ScoredPoint]:
    """Points all over the space with their scores, every fourth a failure."""
    points = [mixed.from_unit(u) for u in np.random.default_rng(5).random((count, 2))]
    return [
        ScoredPoint(point, score_of(point) if number % 4 < 3 else math.nan)
        for number, point in enumerate(points)
    ]


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


def test_every_point_is_in_bounds_and_of_the_right_type(build: Build) -> None:
    searcher = build(space=kinds)
    for number in range(ENOUGH):
        point = searcher.ask(f"t{number}")
        assert point is not None
        assert kinds.contains(point)
        types = [type(point[name]) for name in kinds.names]
        assert types == [int, int, float, int, str, str, float]
        assert (point["fixed"], point["also fixed"]) == ("none", 0.5)
        json.dumps(point)
        searcher.tell(f"t{number}", float(point["x"]) - abs(float(point["n"])))


def test_known_good_points_come_first(build: Build) -> None:
    assert build().ask("t0") == FIRST


def test_same_seed_gives_the_same_points_and_another_seed_others(build: Build) -> None:
    points = ask_and_tell(build(), ENOUGH)
    assert ask_and_tell(build(), ENOUGH) == points
    others = ask_and_tell(build(seed=8), ENOUGH)
    common = [one for one, other in zip(points[1:], others[1:], strict=True) if one == other]
    assert len(common) <= 1, "both may look into the same corner of the space"


@pytest.mark.parametrize("known", [0, 8])
def test_stopped_anywhere_and_rebuilt_it_goes_on_with_the_same_points(build: Build, known: int) -> None:
    events = live_run(build(known=known_points(known)), seed=known, trials=ENOUGH)
    for place, (kind, trial, parameters) in enumerate(events):
        if kind == "ask":
            rebuilt = build(known=known_points(known))
            for event in events[:place]:
                apply(rebuilt, event)
            assert rebuilt.ask(trial) == parameters


@pytest.mark.parametrize("seed", [0, 1])
def test_order_in_which_trials_end_does_not_matter(build: Build, seed: int) -> None:
    one, other = build(), build()
    points = {f"t{number}": one.ask(f"t{number}") for number in range(ENOUGH)}
    ends: list[Event] = []
    for number, (trial, point) in enumerate(points.items()):
        assert point is not None
        other.replay(trial, point)
        ends.append(("tell", trial, score_of(point) if number % 3 else math.nan))
    for end in ends[:-2]:
        apply(one, end)
    for place in np.random.default_rng(seed).permutation(ENOUGH - 2):
        apply(other, ends[place])
    assert [one.ask("next"), one.ask("after")] == [other.ask("next"), other.ask("after")]


def test_nothing_but_failures_does_not_stop_it(build: Build) -> None:
    searcher = build()
    for number in range(9):
        assert searcher.ask(f"t{number}") is not None
        searcher.tell(f"t{number}", math.nan) if number % 2 else searcher.fail(f"t{number}")


def test_nothing_but_running_trials_does_not_stop_it(build: Build) -> None:
    searcher = build()
    points = [searcher.ask(f"t{number}") for number in range(9)]
    assert len({tuple(point.values()) for point in points if point}) == 9


def test_four_at_a_time_they_are_four_different_points_off_each_other(build: Build) -> None:
    searcher = build()
    ask_and_tell(searcher, ENOUGH)
    for batch in range(2):
        names = [f"b{batch}-{place}" for place in range(4)]
        assert all(searcher.ask(name) for name in names)
        points = [searcher.trials[name].point for name in names]
        assert min(np.linalg.norm(a - b) for a, b in itertools.combinations(points, 2)) > 1e-3
        for name, point in zip(names, points, strict=True):
            searcher.tell(name, score_of(mixed.from_unit(point)))


def test_equal_scores_everywhere_do_not_stop_it(build: Build) -> None:
    searcher = build()
    for number in range(ENOUGH):
        assert searcher.ask(f"t{number}") is not None
        searcher.tell(f"t{number}", 0.0)


def test_the_same_point_replayed_for_several_trials_does_not_stop_it(build: Build) -> None:
    searcher = build()
    for number in range(ENOUGH):
        searcher.replay(f"t{number}", FIRST if number % 2 else {"f": 8, "beta": 1.0})
        searcher.tell(f"t{number}", number / 20)
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


def test_space_of_fixed_parameters_has_one_point(build: Build) -> None:
    searcher = build(space=Space([ChoiceParameter("word", ("none",)), IntParameter("n", 4, 4)]))
    assert searcher.ask("t0") == {"word": "none", "n": 4}
    assert searcher.ask("t1") is None


def test_the_best_of_texts_in_any_order_is_found(build: Build) -> None:
    words = ("a", "b", "c", "d")
    space = Space([ChoiceParameter("word", words), FloatParameter("x", 0.0, 1.0)])
    searcher, points = build(space=space), []
    for number in range(16):
        point = searcher.ask(f"t{number}")
        assert point is not None
        points.append(point)
        searcher.tell(f"t{number}", (point["word"] == "b") - (float(point["x"]) - 0.3) ** 2)
    if not isinstance(searcher, RandomSearcher):
        # Neighbours of b in the list are as bad as d is.
        assert sum(point["word"] == "b" for point in points[-5:]) >= 3


CONDITIONAL = Space(
    [
        ChoiceParameter("loss", ("plain", "context")),
        FloatParameter("beta", 0.0, 1.0),
        IntParameter("zone", 1, 9, when=(("loss", "context"),)),
    ]
)


def test_conditional_parameter_has_a_value_only_where_its_condition_holds(build: Build) -> None:
    searcher, points = build(space=CONDITIONAL), []
    for number in range(ENOUGH):
        point = searcher.ask(f"t{number}")
        assert point is not None and CONDITIONAL.contains(point)
        assert list(point) == ["loss", "beta", *(["zone"] if point["loss"] == "context" else [])]
        points.append(point)
        searcher.tell(f"t{number}", float(point["beta"]) + (point["loss"] == "context"))
    assert {point["loss"] for point in points} == {"plain", "context"}
    rebuilt = build(space=CONDITIONAL)
    for number, point in enumerate(points):
        rebuilt.replay(f"t{number}", point)
        rebuilt.tell(f"t{number}", float(point["beta"]) + (point["loss"] == "context"))
    assert rebuilt.ask("next") == searcher.ask("next")


def test_points_that_differ_where_a_condition_does_not_hold_are_one(build: Build) -> None:
    space = Space([CONDITIONAL.parameters[0], IntParameter("zone", 1, 3, when=(("loss", "context"),))])
    searcher = build(space=space)
    points = [searcher.ask(f"t{number}") for number in range(5)]
    assert points[4] is None
    zones = sorted(point["zone"] for point in points if point and "zone" in point)
    assert zones == [1, 2, 3] and points.count({"loss": "plain"}) == 1


def test_nothing_is_printed(build: Build, capfd: pytest.CaptureFixture[str]) -> None:
    ask_and_tell(build(), ENOUGH)
    assert capfd.readouterr() == ("", "")


def test_known_points_are_no_trials_of_its_own(build: Build) -> None:
    searcher = build(known=known_points(8))
    assert not searcher.trials
    assert searcher.ask("t0") == FIRST
    assert list(searcher.trials) == ["t0"]
    with pytest.raises(KeyError):
        searcher.tell("t1", 0.5)


def test_known_points_are_not_proposed_again(build: Build) -> None:
    before = build()
    tried = ask_and_tell(before, 6)
    known = [ScoredPoint(point, 0.5) for point in tried]
    again = ask_and_tell(build(known=known), 6)
    assert FIRST in tried and not any(point in tried for point in again)


def test_only_unknown_points_of_a_finite_space_are_proposed(build: Build) -> None:
    grid = list(finite.grid())
    searcher = build(space=finite, known=[ScoredPoint(point, float(point["n"])) for point in grid[:9]])
    points = [searcher.ask(f"t{number}") for number in range(4)]
    assert points[3] is None
    left = sorted(tuple(point.values()) for point in grid[9:])
    assert sorted(tuple(point.values()) for point in points if point) == left


def test_known_point_outside_of_the_space_is_refused(build: Build) -> None:
    with pytest.raises(ConfigError, match="inside the search space"):
        build(known=[ScoredPoint({"f": 16, "beta": 50.0}, 0.5)])


def test_known_failures_alone_do_not_stop_it(build: Build) -> None:
    ask_and_tell(build(known=[ScoredPoint(point.parameters, math.nan) for point in known_points(6)]), 3)


def test_random_search_learns_nothing_from_known_points() -> None:
    warm = build_searcher("random", mixed, seed=7, known=known_points(8))
    assert ask_and_tell(warm, 5) == ask_and_tell(build_searcher("random", mixed, seed=7), 5)


narrow = Space(
    [
        IntParameter("f", 4, 64, log=True),
        FloatParameter("beta", 0.05, 5.0, log=True),
        IntParameter("k", 0, 40),
    ]
)
TOP = np.array([0.3, 0.7, 0.45])
STEEPNESS = np.array([8.0, 20.0, 14.0])


def true_score(parameters: Parameters) -> float:
    """One narrow hill with its top of 1 at ``TOP``."""
    return math.exp(-STEEPNESS @ (narrow.to_unit(parameters) - TOP) ** 2)


def regret(searcher: Searcher, *, trials: int, seed: int) -> float:
    """How far the true score of the point with the best noisy score lies below the top."""
    noise = np.random.default_rng(seed).normal(0.0, 0.03, trials)
    true_scores, scores = [], []
    for number in range(trials):
        point = searcher.ask(f"t{number}")
        assert point is not None
        true_scores.append(true_score(point))
        scores.append(true_scores[-1] + noise[number])
        searcher.tell(f"t{number}", scores[-1])
    return 1 - true_scores[int(np.argmax(scores))]


LEARNING = [name for name in get_args(SearcherName) if name != "random"]


@pytest.mark.parametrize("name", LEARNING)
def test_finds_better_points_than_random_search_with_as_many_trials(name: str) -> None:
    learnt = [regret(build_searcher(name, narrow, seed=seed), trials=20, seed=seed) for seed in range(3)]
    lucky = [regret(build_searcher("random", narrow, seed=seed), trials=20, seed=seed) for seed in range(60)]
    assert np.median(learnt) < 0.9 * np.median(lucky)


@pytest.mark.parametrize("name", LEARNING)
def test_warm_start_begins_where_the_earlier_study_ended(name: str) -> None:
    points = [narrow.from_unit(u) for u in np.random.default_rng(0).random((60, 3))]
    known = [ScoredPoint(point, true_score(point)) for point in points]
    cold, warm = [
        [
            regret(build_searcher(name, narrow, seed=seed, known=scores), trials=4, seed=seed)
            for seed in range(3)
        ]
        for scores in ([], known)
    ]
    assert np.median(warm) < 0.7 * np.median(cold)
