import numpy as np
import pytest

from hpo.search import botorch_searcher
from hpo.search.botorch_searcher import BoTorchSearcher
from hpo.search.design import quasi_random_points
from hpo.search.model_based import ModelSearcher
from hpo.search.searcher import ScoredPoint
from hpo.space.parameters import ChoiceParameter, FloatParameter, IntParameter
from hpo.space.space import Parameters, Space

INITIAL_POINTS = 4
square = Space([FloatParameter("x", 0.0, 1.0), FloatParameter("y", 0.0, 1.0)])
MIDDLE: Parameters = {"x": 0.5, "y": 0.5}
KNOWN = [ScoredPoint({"x": 0.1, "y": x / 10}, 0.5) for x in range(INITIAL_POINTS)]


class Model(ModelSearcher):
    """Wishes for the lower right corner, and beside it from then on."""

    initial_points = INITIAL_POINTS

    def suggest(self, number: int) -> Parameters:
        return {"x": 1 - number / 100, "y": 0.0}


def asked_and_told(searcher: ModelSearcher, trials: int) -> list[list[float]]:
    for number in range(trials):
        assert searcher.ask(f"t{number}") is not None
        searcher.tell(f"t{number}", number / 10)
    return [trial.point.tolist() for trial in searcher.trials.values()]


def test_starts_with_its_own_point_then_with_the_quasi_random_design_then_with_the_model() -> None:
    points = asked_and_told(Model(square, seed=3, first=[MIDDLE]), 2 + INITIAL_POINTS)
    design = quasi_random_points(2, seed=3, count=INITIAL_POINTS + 1)
    np.testing.assert_allclose(points[:-1], [[0.5, 0.5], *design[1:]])
    np.testing.assert_allclose(points[-1], [1 - (INITIAL_POINTS + 1) / 100, 0.0])


def test_without_two_scores_the_design_goes_on() -> None:
    searcher = Model(square, seed=0)
    for number in range(2 * INITIAL_POINTS):
        searcher.ask(f"t{number}")
    points = [trial.point for trial in searcher.trials.values()]
    np.testing.assert_allclose(points, quasi_random_points(2, seed=0, count=2 * INITIAL_POINTS))


def test_known_points_take_the_place_of_the_design() -> None:
    points = asked_and_told(Model(square, seed=3, first=[MIDDLE], known=KNOWN), 2)
    np.testing.assert_allclose(points, [[0.5, 0.5], [0.99, 0.0]])
    points = asked_and_told(Model(square, seed=3, known=KNOWN[:-2]), 3)
    np.testing.assert_allclose(points, [*quasi_random_points(2, seed=3, count=2), [0.98, 0.0]])


@pytest.mark.parametrize("listed", [botorch_searcher.LISTED, 0])
def test_model_of_a_finite_space_wishes_for_points_that_are_free(
    listed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(botorch_searcher, "LISTED", listed)
    b, c = ChoiceParameter("b", (1, 2, 4)), ChoiceParameter("c", ("u", "v"))
    space = Space([IntParameter("a", 0, 4), b, c])
    searcher = BoTorchSearcher(space, seed=1, noise=0.001)
    found = []
    for number in range(14):
        wished = searcher.propose(number) if searcher.has_model else None
        point = searcher.ask(f"t{number}")
        assert point is not None and wished in (point, None)
        found.append(-abs(float(point["a"]) - 3) - abs(float(point["b"]) - 2) - (point["c"] == "u"))
        searcher.tell(f"t{number}", 0.1 * found[-1])
    assert max(found) >= -1
