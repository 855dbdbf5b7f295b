import math

import pytest

from hpo.report.paired import paired_difference


def test_interval_is_student_s_around_the_mean_of_the_differences() -> None:
    difference = paired_difference({1: 0.5, 2: 0.7, 3: 0.6}, {1: 0.4, 2: 0.5, 3: 0.6})
    assert difference is not None
    assert difference.mean == pytest.approx(0.1)
    # sd 0.1, quantile of t with 2 degrees of freedom 4.3027.
    assert difference.half_width == pytest.approx(4.302653 * 0.1 / math.sqrt(3), rel=1e-5)
    assert not difference.is_clear


def test_what_seeds_have_in_common_cancels() -> None:
    difference = paired_difference({1: 0.1, 2: 0.9}, {1: 0.05, 2: 0.85})
    assert difference is not None
    assert difference.mean == pytest.approx(0.05) and difference.is_clear


def test_only_seeds_that_both_have_count() -> None:
    difference = paired_difference({1: 0.5, 2: 0.9}, {1: 0.4, 3: 0.1})
    assert difference is not None and difference.pairs == 1
    assert difference.half_width == math.inf and not difference.is_clear
    assert paired_difference({1: 0.5}, {2: 0.5}) is None
