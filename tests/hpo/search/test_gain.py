import numpy as np
import pytest
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import Matern

from hpo.search.design import quasi_random_points
from hpo.search.gain import SAMPLES, Array, expected_gain
from hpo.space.parameters import FloatParameter
from hpo.space.space import Space

SQUARE = Space([FloatParameter("x", 0.0, 1.0), FloatParameter("y", 0.0, 1.0)])


def hill(points: Array) -> Array:
    return np.asarray(0.5 - ((points - [0.3, 0.6]) ** 2).sum(axis=1))


def gain(points: Array, scores: Array | None = None, alpha: float = 1e-4) -> float:
    scores = hill(points) if scores is None else scores
    process = GaussianProcessRegressor(
        Matern(nu=2.5, length_scale=0.5), alpha=alpha, optimizer=None, normalize_y=True
    ).fit(points, scores)

    def possible(candidates: Array) -> Array:
        return np.asarray(process.sample_y(candidates, n_samples=SAMPLES, random_state=3))

    best = points[np.argmax(process.predict(points))]
    return expected_gain(possible, best, space=SQUARE, seed=3)


def design(count: int) -> Array:
    return np.array(quasi_random_points(2, seed=1, count=count))


def test_the_more_is_known_the_less_further_trials_gain() -> None:
    few, many = (gain(design(count)) for count in (8, 45))
    assert few > 0.01 > many >= 0


def test_gain_is_as_large_as_what_is_missing() -> None:
    around = design(60)
    far = around[((around - [0.3, 0.6]) ** 2).sum(axis=1) > 0.15]
    missing = 0.5 - hill(far).max()
    assert 0.3 * missing < gain(far) < 3 * missing


def test_gain_has_the_unit_of_the_score_and_the_same_estimate_comes_again() -> None:
    points = design(8)
    once = gain(points)
    assert gain(points) == once
    assert gain(points, 10 * hill(points)) == pytest.approx(10 * once)
