import numpy as np
import pytest

from hpo.search.surrogate import LEAST_ALPHA, LENGTH_SCALES, Array, fit_surrogate

GIVEN = 0.1


def points(count: int, *, dimensions: int = 3) -> Array:
    return np.random.default_rng(0).random((count, dimensions))


def wave(places: Array) -> Array:
    """Scores that depend on the first axis only, on a scale far from 1."""
    scores: Array = 0.5 + 0.01 * np.sin(5 * places[:, 0])
    return scores


def test_scores_without_noise_are_found_to_have_less_than_thought() -> None:
    places = points(25)
    assert fit_surrogate(places, wave(places), alpha=GIVEN).alpha < GIVEN


def test_noisy_scores_keep_the_noise_they_are_thought_to_have() -> None:
    places = points(25)
    noise = np.random.default_rng(1).normal(0.0, 0.005, 25)
    assert fit_surrogate(places, wave(places) + noise, alpha=GIVEN).alpha == GIVEN


def test_an_axis_that_does_nothing_gets_a_longer_scale_than_one_that_decides() -> None:
    places = points(25)
    lengths = fit_surrogate(places, wave(places), alpha=GIVEN).kernel.length_scale
    assert len(lengths) == 3
    assert lengths[1:].min() > 3 * lengths[0]


def test_few_scores_get_one_length_for_all_axes() -> None:
    places = points(6)
    assert len(fit_surrogate(places, wave(places), alpha=GIVEN).kernel.length_scale) == 1


@pytest.mark.parametrize("alpha", [0.0, LEAST_ALPHA])
def test_no_noise_at_all_is_computed_with_the_least(alpha: float) -> None:
    places = np.concatenate([points(10), points(10) + 1e-9])
    assert fit_surrogate(places, wave(places), alpha=alpha).alpha == LEAST_ALPHA


def test_equal_scores_have_a_model() -> None:
    lengths = fit_surrogate(points(8), np.full(8, 0.3), alpha=1.0).kernel.length_scale
    np.testing.assert_allclose(lengths, LENGTH_SCALES[1])


def test_scale_and_offset_of_the_scores_do_not_matter() -> None:
    places = points(25)
    a = fit_surrogate(places, wave(places), alpha=GIVEN)
    b = fit_surrogate(places, 7 - 100 * wave(places), alpha=GIVEN)
    np.testing.assert_allclose(a.kernel.length_scale, b.kernel.length_scale, rtol=1e-3)
    assert a.alpha == b.alpha
