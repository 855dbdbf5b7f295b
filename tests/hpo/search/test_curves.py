"""Trials that were stopped are expected to end as others did that were as good at the same epoch."""

import pytest

from hpo.search.curves import CurveModel, ScoreEstimate
from hpo.search.searcher import NOISE


def curve(end: float, *, until: int = 4) -> dict[int, float]:
    """A quarter of the end at each epoch."""
    return {epoch: end * epoch / 4 for epoch in range(1, until + 1)}


def model(*ends: float) -> CurveModel:
    learnt = CurveModel(NOISE)
    for end in ends:
        learnt.add(curve(end))
    return learnt


def test_curves_of_one_shape_tell_the_end() -> None:
    estimate = model(*(number / 20 for number in range(1, 20))).estimate(curve(0.6, until=1))
    assert estimate is not None and estimate.score == pytest.approx(0.6, abs=0.002)
    assert 0 < estimate.variance < 0.02


def test_a_trial_is_never_expected_to_end_below_its_best_validation() -> None:
    estimate = model(0.1, 0.2, 0.3).estimate({1: 0.9})
    assert estimate is not None and estimate.score >= 0.9


def test_ranks_are_kept_where_few_trials_ended() -> None:
    learnt = model(0.4, 0.5)
    better, worse = learnt.estimate({1: 0.125}), learnt.estimate({1: 0.1})
    assert better is not None and worse is not None and better.score > worse.score


def test_the_later_the_surer() -> None:
    learnt = CurveModel(NOISE)
    for number in range(12):
        end = number / 20
        learnt.add({1: 0.1 + 0.01 * (number % 3), 2: end * 0.9, 3: end})
    early, late = learnt.estimate({1: 0.1}), learnt.estimate({1: 0.1, 2: 0.3})
    assert early is not None and late is not None and early.variance > 2 * late.variance


def test_a_validation_below_the_best_one_changes_nothing() -> None:
    learnt = model(0.2, 0.4, 0.6)
    assert learnt.estimate({1: 0.1, 2: 0.05}) == learnt.estimate({2: 0.1})


def test_equal_early_scores_say_as_little_as_they_can() -> None:
    learnt = CurveModel(NOISE)
    for end in (0.2, 0.4, 0.6):
        learnt.add({1: 0.0, 2: end})
    # As if three more trials lay beside the mean by the noise between seeds.
    assert learnt.estimate({1: 0.0}) == ScoreEstimate(
        pytest.approx(0.4), pytest.approx((0.08 + 3 * NOISE**2) / 6)
    )


def test_good_trials_alone_do_not_say_that_poor_ones_end_as_well() -> None:
    learnt = CurveModel(NOISE)
    # Early stopping left trials that were equally good at epoch 1, and whose ends are equal but for noise.
    for early, end in ((0.100, 0.152), (0.101, 0.148), (0.103, 0.149), (0.104, 0.151)):
        learnt.add({1: early, 2: end})
    near, poor = learnt.estimate({1: 0.1}), learnt.estimate({1: 0.02})
    assert near is not None and poor is not None
    assert near.score == pytest.approx(0.15, abs=0.005)
    assert poor.score < 0.08 and poor.variance > 1.5 * near.variance


@pytest.mark.parametrize("ends", [[], [0.5]])
def test_one_whole_trial_is_no_expectation(ends: list[float]) -> None:
    assert model(*ends).estimate({1: 0.1}) is None
