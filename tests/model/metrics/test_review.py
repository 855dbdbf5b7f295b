import math

import numpy as np
import pytest

from model.metrics.review import THRESHOLDS, reviewed_precision


def test_thresholds_are_those_of_figure_8() -> None:
    assert (THRESHOLDS[0], THRESHOLDS[1], THRESHOLDS[-1], len(THRESHOLDS)) == (0.9, 0.85, 0.3, 13)


def test_positive_is_what_both_reviewers_say_yes_to() -> None:
    peaks = np.array([0.95, 0.8, 0.6, 0.5])
    verdicts = np.array([[1, 1], [1, 0], [1, 1], [0, 0]], dtype=bool)
    high, low, lowest = reviewed_precision(peaks, verdicts, (0.7, 0.5, 0.4))
    assert (high.sequences, high.positives, high.precision, high.agreement) == (2, 1, 0.5, 0.5)
    assert (low.sequences, low.precision) == (3, 2 / 3)  # a score of exactly eta does not exceed it
    assert (lowest.sequences, lowest.precision, lowest.agreement) == (4, 0.5, 0.75)
    # 3 of 4 the same; by chance (3/4)(2/4) + (1/4)(2/4) = 1/2.
    assert lowest.kappa == pytest.approx((0.75 - 0.5) / (1 - 0.5))


def test_interval_is_wilson_s() -> None:
    verdicts = np.array([[True, True]] * 8 + [[False, False]] * 2)
    (found,) = reviewed_precision(np.ones(10), verdicts, (0.5,))
    z, share = 1.959964, 0.8
    middle = (share + z**2 / 20) / (1 + z**2 / 10)
    half = z / (1 + z**2 / 10) * math.sqrt(share * 0.2 / 10 + z**2 / 400)
    assert (found.low, found.high) == (
        pytest.approx(middle - half, abs=1e-6),
        pytest.approx(middle + half, abs=1e-6),
    )
    assert found.kappa == 1.0


def test_nothing_above_a_threshold_has_no_numbers() -> None:
    (found,) = reviewed_precision(np.array([0.5]), np.array([[True, True]]), (0.9,))
    numbers = (found.precision, found.low, found.high, found.agreement, found.kappa)
    assert found.sequences == 0 and all(map(math.isnan, numbers))


def test_kappa_of_reviewers_who_only_say_yes_is_not_defined() -> None:
    (found,) = reviewed_precision(np.ones(3), np.ones((3, 2), dtype=bool), (0.5,))
    assert (found.precision, found.agreement) == (1.0, 1.0) and math.isnan(found.kappa)
