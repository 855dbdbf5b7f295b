import math

import pytest

from hpo.journal.paired import paired_difference


def test_interval_is_student_s_around_the_mean_of_the_differences() -> None:
    difference = paired_difference({1: 0.5, 2: 0.7, 3: 0.6}, {1: 0.4, 2: 0.5, 3: 0.6})
    assert difference is not None
    assert difference.mean == pytest.approx(0.1)
    # sd 0.1, quantile of t with 2 degrees of freedom 4.3027.
    assert difference.half_width == pytest.approx(4.302653 * 0.1 / math.sqrt(3), rel=1e-5)
    assert not difference.is_clear


def test_interval_of_student_s_data_on_sleep() -> None:
    # Gosset, The probable error of a mean, Biometrika 6 (1908); in R t.test(extra ~ group, paired = TRUE).
    first = [0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0]
    second = [1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4]
    difference = paired_difference(dict(enumerate(first)), dict(enumerate(second)))
    assert difference is not None
    low, high = difference.mean - difference.half_width, difference.mean + difference.half_width
    assert (low, high) == pytest.approx((-2.4598858, -0.7001142), abs=1e-7)


def test_equal_differences_have_an_interval_of_no_width() -> None:
    same = paired_difference({1: 0.5, 2: 0.6}, {1: 0.5, 2: 0.6})
    assert same is not None and (same.mean, same.half_width, same.is_clear) == (0.0, 0.0, False)
    apart = paired_difference({1: 0.1, 2: 0.9, 3: 0.3}, {1: 0.05, 2: 0.85, 3: 0.25})
    assert apart is not None and apart.half_width == pytest.approx(0, abs=1e-12) and apart.is_clear


def test_rounding_alone_is_no_difference() -> None:
    difference = paired_difference({1: 0.1 + 0.2, 2: 0.5}, {1: 0.3, 2: 0.5})
    assert difference is not None and difference.mean > 0 and not difference.is_clear


def test_what_seeds_have_in_common_cancels() -> None:
    difference = paired_difference({1: 0.1, 2: 0.9}, {1: 0.05, 2: 0.85})
    assert difference is not None
    assert difference.mean == pytest.approx(0.05) and difference.is_clear


def test_only_seeds_that_both_have_count() -> None:
    difference = paired_difference({1: 0.5, 2: 0.9}, {1: 0.4, 3: 0.1})
    assert difference is not None and difference.pairs == 1
    assert difference.half_width == math.inf and not difference.is_clear
    assert paired_difference({1: 0.5}, {2: 0.5}) is None
