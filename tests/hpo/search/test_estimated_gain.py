"""The gain of further trials, as the searchers with a model estimate it."""

import math
from collections.abc import Callable

import numpy as np
import pytest
from hill import SQUARE, climb

from hpo.search.bayesian import BayesOptSearcher
from hpo.search.botorch_searcher import BoTorchSearcher
from hpo.search.design import quasi_random_points
from hpo.search.model_based import ModelSearcher
from hpo.space.parameters import ChoiceParameter, FloatParameter
from hpo.space.space import Space

Make = Callable[..., ModelSearcher]


@pytest.fixture(params=[BayesOptSearcher, BoTorchSearcher])
def make(request: pytest.FixtureRequest) -> Make:
    """Return a class of searchers."""
    found: Make = request.param
    return found


def test_gain_is_estimated_once_there_is_a_model_and_falls(make: Make) -> None:
    searcher = make(SQUARE, seed=0, noise=0.02)
    climb(searcher, searcher.initial_points - 1)
    assert searcher.expected_gain() is None
    climb(searcher, 1)
    first = searcher.expected_gain()
    climb(searcher, 15)
    last = searcher.expected_gain()
    assert first is not None and last is not None
    assert first.expected > last.expected and last.expected < last.noise


@pytest.mark.parametrize("noise", [0.002, 0.05])
def test_noise_between_seeds_is_that_of_the_scores_not_the_assumed_one(noise: float) -> None:
    """With the assumed 0.03, a search whose scores differ by less would end at once."""
    random, searcher = np.random.default_rng(1), BoTorchSearcher(SQUARE, seed=0)
    for number, (x, y) in enumerate(quasi_random_points(2, seed=0, count=30)):
        searcher.replay(f"t{number}", {"x": float(x), "y": float(y)})
        height = math.exp(-4 * ((x - 0.6) ** 2 + (y - 0.6) ** 2))
        searcher.tell(f"t{number}", 20 * noise * height + random.normal(scale=noise))
    gain = searcher.expected_gain()
    assert gain is not None and 0.6 * noise < gain.noise < 1.5 * noise


def test_equal_scores_show_no_more_than_the_assumed_noise(make: Make) -> None:
    """The mean of scores of 0.1 differs from them in its last bit."""
    searcher = make(SQUARE, seed=0, noise=0.01)
    for number in range(searcher.initial_points + 1):
        searcher.replay(f"t{number}", {"x": number / 10, "y": number / 10})
        searcher.tell(f"t{number}", 0.1)
    gain = searcher.expected_gain()
    assert gain is not None and 0 < gain.expected < 0.01 and 1e-4 < gain.noise < 0.01


def test_estimate_of_the_gain_changes_no_proposal(make: Make) -> None:
    plain, estimating = (make(SQUARE, seed=0) for _ in range(2))
    for searcher in (plain, estimating):
        climb(searcher, searcher.initial_points + 1)
    estimating.expected_gain()
    assert plain.ask("next") == estimating.ask("next")


def test_gain_is_estimated_in_a_space_with_texts_and_conditions_too(make: Make) -> None:
    texts = ChoiceParameter("kind", ("a", "b", "c"))
    searcher = make(Space([texts, FloatParameter("x", 0.0, 1.0, when=(("kind", "a"),))]), seed=0)
    for number in range(searcher.initial_points + 2):
        point = searcher.ask(f"t{number}")
        assert point is not None
        searcher.tell(f"t{number}", 0.3 * (point["kind"] == "a") + 0.1 * float(point.get("x", 0)))
    gain = searcher.expected_gain()
    assert gain is not None and 0 <= gain.expected < 0.3
