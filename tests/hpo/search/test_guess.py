"""A first guess draws the proposals of BoTorch's searcher to it, less and less."""

import numpy as np
import pytest
from hill import SQUARE, climb

from hpo.search.botorch_searcher import INITIAL_POINTS, INITIAL_WITH_RELATED, BoTorchSearcher
from hpo.search.build import build_searcher
from hpo.search.searcher import ScoredPoint
from hpo.space.space import Parameters
from model.errors import ConfigError

TOP = np.array([0.3, 0.6])
FAR: Parameters = {"x": 0.95, "y": 0.05}


def proposals(guess: Parameters | None, trials: int) -> np.ndarray:
    """Points of the model on a hill, (points, dimensions)."""
    searcher = build_searcher("botorch", SQUARE, seed=2, guess=guess)
    climb(searcher, INITIAL_POINTS + trials)
    return np.array([trial.point for trial in searcher.trials.values()])[INITIAL_POINTS:]


def test_first_proposals_lie_near_the_guess() -> None:
    corner = SQUARE.to_unit(FAR)
    (believed, *_), (plain, *_) = proposals(FAR, 1), proposals(None, 1)
    assert np.linalg.norm(believed - corner) < 0.7 * np.linalg.norm(plain - corner)


def test_wrong_guess_does_not_hide_the_best_point() -> None:
    distances = np.linalg.norm(proposals(FAR, 12) - TOP, axis=1)
    assert distances.min() < 0.05


def test_searcher_without_a_guess_is_not_drawn_anywhere() -> None:
    searcher = BoTorchSearcher(SQUARE, seed=2)
    climb(searcher, INITIAL_POINTS + 1)
    np.testing.assert_array_equal(list(searcher.trials.values())[-1].point, proposals(None, 1)[0])


def test_related_scores_take_the_place_of_the_guess() -> None:
    related = [ScoredPoint({"x": x / 5, "y": 0.6}, 1 - (x / 5 - 0.3) ** 2, is_related=True) for x in range(6)]
    searchers = [BoTorchSearcher(SQUARE, seed=2, known=related, guess=guess) for guess in (FAR, None)]
    for searcher in searchers:
        climb(searcher, INITIAL_WITH_RELATED + 2)
    believed, plain = ([trial.point.tolist() for trial in each.trials.values()] for each in searchers)
    assert believed == plain


def test_guess_must_lie_in_the_space() -> None:
    with pytest.raises(ConfigError, match="inside the search space"):
        build_searcher("botorch", SQUARE, seed=0, guess={"x": 2.0, "y": 0.0})
