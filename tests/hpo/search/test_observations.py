import numpy as np
import pytest

from hpo.search.fidelities import SeedCurve, early_epochs
from hpo.search.observations import observations, running_points, scores_by_point
from hpo.search.searcher import AskedTrial


def trial(x: float, score: float | None = None, *, failed: bool = False) -> AskedTrial:
    return AskedTrial(np.array([x]), score, failed)


def test_failed_trial_counts_as_the_worst_and_running_trial_not_at_all() -> None:
    trials = [trial(0.1, 0.2), trial(0.2, failed=True), trial(0.3, 0.4), trial(0.4)]
    assert scores_by_point(trials, limit=10) == {(0.1,): 0.2, (0.2,): 0.2, (0.3,): 0.4}
    assert running_points(trials) == [(0.4,)]


def test_abandoned_trial_is_neither_observed_nor_running() -> None:
    trials = [trial(0.1, 0.2), trial(0.3, 0.4), AskedTrial(np.array([0.9]), abandoned=True)]
    assert scores_by_point(trials, limit=10) == {(0.1,): 0.2, (0.3,): 0.4}
    assert observations(trials, limit=10).points.tolist() == [[0.1], [0.3]]
    assert running_points(trials) == []


def test_point_that_was_tried_twice_counts_once_with_its_mean() -> None:
    scores = scores_by_point([trial(0.1, 0.2), trial(0.1, 0.4), trial(0.3, 0.5)], limit=10)
    np.testing.assert_allclose(list(scores.values()), [0.3, 0.5])


def test_of_many_trials_the_best_and_the_latest_are_kept() -> None:
    trials = [trial(index / 100, 1.0 if index in (3, 5) else 0.0) for index in range(50)]
    assert list(scores_by_point(trials, limit=4)) == [(0.03,), (0.05,), (0.48,), (0.49,)]


def test_point_runs_once_and_only_if_nothing_is_known_of_it() -> None:
    trials = [trial(0.1), trial(0.2, 0.5), trial(0.2), trial(0.1), trial(0.3, failed=True), trial(0.3)]
    assert running_points(trials) == [(0.1,)]


def seed_curve(*scores: float, ended: bool = False) -> SeedCurve:
    """Validations after 1, 2, 3 ... epochs."""
    return SeedCurve(dict(enumerate(scores, start=1)), end=max(scores) if ended else None)


def test_trials_are_compared_where_most_were_stopped_and_at_the_end() -> None:
    stopped = [seed_curve(0.1, 0.2), seed_curve(0.1, 0.3), seed_curve(0.1, 0.2, 0.1, 0.4)]
    whole = [seed_curve(*(0.01 * epoch for epoch in range(1, 9)), ended=True)]
    assert early_epochs([*stopped, *whole]) == [2, 4]
    assert early_epochs([*stopped[:2], *whole]) == [2, 4]  # the second by its share of all epochs
    assert early_epochs(whole) == [1, 4]
    assert early_epochs([SeedCurve({}, end=0.3)]) == []


def test_each_seed_has_a_row_for_each_fidelity_that_it_reached() -> None:
    stopped = [AskedTrial(np.array([0.1 * place]), curves=[seed_curve(0.2, 0.1 * place)]) for place in (1, 2)]
    ended = [
        AskedTrial(np.array([0.1 * place]), 0.5, curves=[seed_curve(0.1, 0.1, 0.1 * place, ended=True)])
        for place in (5, 6)
    ]
    told = observations([*stopped, *ended], limit=10)
    assert told.reach_end and told.points.shape == (len(told.scores), 1)
    until = [told.scores[told.fidelities == fidelity].tolist() for fidelity in range(3)]
    assert until == [[0.2, 0.2, 0.1, 0.1], [0.2, 0.2, 0.1, 0.1], pytest.approx([0.5, 0.6])]


def test_early_scores_that_are_all_equal_are_left_out() -> None:
    ended = [
        AskedTrial(np.array([0.1 * place]), 0.1, curves=[seed_curve(0.0, 0.0, 0.1 * place, ended=True)])
        for place in (5, 6)
    ]
    assert observations(ended, limit=10).fidelities.tolist() == [0, 0]


def test_until_two_trials_ended_earlier_epochs_take_the_place_of_the_end() -> None:
    running = [AskedTrial(np.array([0.1 * place]), curves=[seed_curve(0.1 * place)]) for place in (1, 2, 3)]
    ended = AskedTrial(np.array([0.9]), 0.7, curves=[seed_curve(0.2, 0.7, ended=True)])
    told = observations([*running, ended], limit=10)
    assert not told.reach_end
    np.testing.assert_allclose(told.scores, [0.1, 0.2, 0.3, 0.2])


def test_of_many_trials_the_latest_are_observed_half_of_them_whole() -> None:
    whole = [AskedTrial(np.array([0.01 * place]), 0.01 * place) for place in range(10)]
    stopped = [
        AskedTrial(np.array([0.5 + 0.01 * place]), 0.1, curves=[seed_curve(0.1 + 0.01 * place)])
        for place in range(10)
    ]
    told = observations([*whole, *stopped], limit=8)
    assert told.scores[told.fidelities == 1].tolist() == [0.06, 0.07, 0.08, 0.09]
    assert told.points[told.fidelities == 0].ravel().round(2).tolist() == [0.56, 0.57, 0.58, 0.59]
