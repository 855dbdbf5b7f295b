import math
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpo.search.random_search import RandomSearcher
from hpo.search.searcher import Searcher
from hpo.space.parameters import FloatParameter, IntParameter
from hpo.space.space import Parameters, Space
from model.errors import ConfigError

line = Space([FloatParameter("x", 0.0, 1.0)])


class Stubborn(Searcher):
    """Always wants the same point."""

    def propose(self, number: int) -> Parameters:
        return self.space.from_unit(self.space.to_unit({name: 1 for name in self.space.names}))


def asked(searcher: Searcher, count: int) -> Sequence[Parameters | None]:
    return [searcher.ask(f"t{number}") for number in range(count)]


def test_first_points_come_first_and_repeated_ones_once() -> None:
    searcher = RandomSearcher(line, seed=0, first=[{"x": 0.25}, {"x": 0.25}, {"x": 0.75}])
    points = asked(searcher, 3)
    assert points[:2] == [{"x": 0.25}, {"x": 0.75}]
    assert points[2] == RandomSearcher(line, seed=0).propose(2)


def test_first_point_outside_of_the_space_is_refused() -> None:
    with pytest.raises(ConfigError, match="inside the search space"):
        RandomSearcher(line, seed=0, first=[{"x": 2.0}])


def test_replayed_point_outside_of_the_space_is_refused() -> None:
    with pytest.raises(ConfigError, match="inside the search space"):
        RandomSearcher(line, seed=0).replay("t0", {"x": 2.0})


def test_changing_a_first_point_afterwards_changes_nothing() -> None:
    point: Parameters = {"x": 0.25}
    searcher = RandomSearcher(line, seed=0, first=[point])
    point["x"] = 2.0
    assert searcher.ask("t0") == {"x": 0.25}


def test_wish_for_a_taken_point_is_answered_with_a_free_one() -> None:
    points = asked(Stubborn(line, seed=0), 20)
    assert len({point["x"] for point in points if point}) == 20


@given(st.integers(1, 6), st.integers(1, 6), st.integers(0, 100))
def test_stubborn_searcher_still_visits_every_point_of_a_finite_space_once(
    width: int, height: int, seed: int
) -> None:
    space = Space([IntParameter("a", 1, 1 + width), IntParameter("b", 1, 1 + height)])
    size = space.size()
    assert size is not None
    points = asked(Stubborn(space, seed=seed), size + 2)
    assert points[size:] == [None, None]
    assert sorted(tuple(point.values()) for point in points if point) == [
        tuple(point.values()) for point in space.grid()
    ]


def test_space_of_two_neighbouring_floats_is_used_up_after_two_points() -> None:
    space = Space([FloatParameter("x", 1.0, math.nextafter(1.0, 2.0))])
    assert asked(Stubborn(space, seed=0), 3)[2] is None


def test_trial_that_was_never_asked_cannot_be_told() -> None:
    searcher = RandomSearcher(line, seed=0)
    with pytest.raises(KeyError):
        searcher.tell("t0", 0.5)
    with pytest.raises(KeyError):
        searcher.fail("t0")


def test_trial_cannot_be_asked_twice() -> None:
    searcher = RandomSearcher(line, seed=0)
    searcher.ask("t0")
    with pytest.raises(ValueError, match="t0 already has parameters"):
        searcher.ask("t0")


@pytest.mark.parametrize("score", [math.nan, math.inf, -math.inf])
def test_score_that_is_no_number_counts_as_failure(score: float) -> None:
    searcher = RandomSearcher(line, seed=0)
    searcher.ask("t0")
    searcher.tell("t0", score)
    assert searcher.trials["t0"].failed
    assert searcher.trials["t0"].score is None


def test_the_last_word_on_a_trial_counts() -> None:
    searcher = RandomSearcher(line, seed=0)
    searcher.ask("t0")
    searcher.fail("t0")
    searcher.tell("t0", 0.5)
    assert (searcher.trials["t0"].score, searcher.trials["t0"].failed) == (0.5, False)
    searcher.fail("t0")
    assert (searcher.trials["t0"].score, searcher.trials["t0"].failed) == (None, True)
    searcher.abandon("t0")
    assert (searcher.trials["t0"].failed, searcher.trials["t0"].abandoned) == (False, True)
