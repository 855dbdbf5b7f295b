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


def seed_curve(*scores: float, ended: bool = False, stopped: bool = False) -> SeedCurve:
    """Validations after 1, 2, 3 ... epochs."""
    end = max(scores) if ended else None
    return SeedCurve(dict(enumerate(scores, start=1)), end=end, is_stopped=stopped)


def seeds(*curves: SeedCurve, failed: int = 0) -> list[AskedTrial]:
    """Return trials at 0, 0.1, 0.2 ... with one seed each, and failed ones after them."""
    trials = [
        AskedTrial(np.array([0.1 * place]), each.end, curves=[each]) for place, each in enumerate(curves)
    ]
    return trials + [AskedTrial(np.array([0.9 + 0.01 * place]), failed=True) for place in range(failed)]


def test_trials_are_compared_where_most_were_stopped() -> None:
    stopped = [seed_curve(*(0.1,) * epochs, stopped=True) for epochs in (2, 2, 2, 4, 4, 5)]
    running, whole = seed_curve(0.1, 0.2, 0.3), seed_curve(*(0.1,) * 8, ended=True)
    assert early_epochs([*stopped, running, whole]) == [2, 4]
    assert early_epochs([running, whole]) == []


def test_one_trial_that_was_stopped_sooner_than_the_others_does_not_count() -> None:
    stopped = [seed_curve(*(0.1,) * epochs, stopped=True) for epochs in (1, *(2,) * 12, *(4,) * 3)]
    assert early_epochs(stopped) == [2, 4]
    assert early_epochs(stopped[:3]) == [1, 2]


def test_each_seed_has_a_row_for_each_fidelity_that_it_reached() -> None:
    stopped = [seed_curve(0.2, 0.1 * place, stopped=True) for place in (1, 3)]
    ended = [seed_curve(0.1, 0.1, 0.1 * place, ended=True) for place in (5, 6)]
    told = observations(seeds(*stopped, *ended, seed_curve(0.4)), limit=10)
    assert told.reach_end and told.points.shape == (len(told.scores), 1)
    end, early = (told.scores[told.fidelities == fidelity].tolist() for fidelity in range(2))
    assert early == pytest.approx([0.2, 0.3, 0.1, 0.1])  # the best until the second epoch
    assert end == pytest.approx([0.5, 0.6])


def test_failed_trials_have_the_worst_score_of_each_fidelity() -> None:
    stopped = [seed_curve(0.1 * place, stopped=True) for place in (1, 2)]
    ended = [seed_curve(0.3, 0.1 * place, ended=True) for place in (5, 6)]
    told = observations(seeds(*stopped, *ended, failed=1), limit=10)
    assert told.scores[told.points[:, 0] > 0.8].tolist() == pytest.approx([0.5, 0.1])
    without_end = observations(seeds(*stopped, ended[0], failed=1), limit=10)
    assert not without_end.reach_end
    assert without_end.scores.tolist() == pytest.approx([0.1, 0.2, 0.3, 0.1])


def test_early_scores_that_are_all_equal_are_left_out() -> None:
    stopped, ended = [seed_curve(0.0, stopped=True)] * 3, [seed_curve(0.0, 0.1, ended=True)] * 2
    assert observations(seeds(*stopped, *ended), limit=10).fidelities.tolist() == [0, 0]


def test_of_many_trials_the_best_whole_ones_and_the_latest_are_observed() -> None:
    whole = [seed_curve(0.0, 0.01 * (place % 6), ended=True) for place in range(10)]
    stopped = [seed_curve(0.1 + 0.01 * place, stopped=True) for place in range(10)]
    told = observations(seeds(*whole, *stopped), limit=8)
    assert sorted(told.scores[told.fidelities == 0].tolist()) == pytest.approx([0.03, 0.03, 0.04, 0.05])
    assert told.scores[told.fidelities == 1].tolist()[-4:] == pytest.approx([0.16, 0.17, 0.18, 0.19])


def test_a_trial_with_several_seeds_takes_the_place_of_as_many() -> None:
    trials = seeds(*(seed_curve(0.01 * place, ended=True) for place in range(12)))
    for each in trials:
        each.curves = [each.curves[0]] * 3
    told = observations(trials, limit=12)
    assert sorted(set(told.points[:, 0].tolist())) == pytest.approx([0.8, 0.9, 1.0, 1.1])
    assert len(told.scores) == 12
