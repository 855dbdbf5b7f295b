import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpo.search.design import quasi_random_points


@given(st.integers(1, 12), st.integers(0, 2**32), st.integers(0, 40), st.integers(0, 40))
def test_longer_design_starts_with_the_shorter_one(dimensions: int, seed: int, count: int, more: int) -> None:
    short = quasi_random_points(dimensions, seed=seed, count=count)
    long = quasi_random_points(dimensions, seed=seed, count=count + more)
    assert short.shape == (count, dimensions)
    np.testing.assert_array_equal(long[:count], short)


def test_seeds_give_different_points() -> None:
    assert not np.allclose(quasi_random_points(5, seed=0, count=4), quasi_random_points(5, seed=1, count=4))


@pytest.mark.parametrize("seed", range(5))
def test_points_spread_over_every_side(seed: int) -> None:
    points = quasi_random_points(5, seed=seed, count=8)
    for axis in range(5):
        assert sorted((points[:, axis] * 8).astype(int)) == list(range(8))
