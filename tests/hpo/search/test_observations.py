import numpy as np

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
