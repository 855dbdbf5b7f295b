"""A model of all trials tells luck from a good configuration."""

import numpy as np
import pytest

from hpo.search.expected import LEAST_POINTS, expected_scores
from hpo.search.fidelities import SeedCurve
from hpo.search.noisy_process import fit_process, noise_between_seeds
from hpo.search.observations import Observations
from hpo.search.searcher import AskedTrial


def truth(x: float) -> float:
    return 0.5 - (x - 0.7) ** 2


def trials(scores: dict[float, float]) -> list[AskedTrial]:
    return [AskedTrial(np.array([x]), score) for x, score in scores.items()]


def test_a_lucky_score_does_not_win() -> None:
    scores = {x: truth(x) for x in np.linspace(0, 1, 21).round(2)}
    scores[0.3] += 0.2
    asked = trials(scores)
    expected = expected_scores(asked, asked, noise=0.1)
    best = max(range(len(asked)), key=lambda place: expected[place].mean)
    assert abs(asked[best].point[0] - 0.7) <= 0.1
    assert all(each.deviation > 0 for each in expected)


def test_few_points_have_no_model() -> None:
    few = trials({x / 10: 0.1 for x in range(LEAST_POINTS - 1)})
    assert expected_scores(few, few, noise=0.03) == []


@pytest.mark.parametrize("ending", [{"failed": True}, {"abandoned": True}])
def test_trials_without_a_score_say_nothing_about_their_neighbours(ending: dict[str, bool]) -> None:
    scored = trials({x: truth(x) for x in np.linspace(0, 1, 11)})
    ended = [AskedTrial(trial.point + 0.02, **ending) for trial in scored]
    alone = expected_scores(scored, scored, noise=0.03)
    assert expected_scores([*scored, *ended], scored, noise=0.03) == alone


def test_equal_scores_are_expected_within_the_assumed_noise() -> None:
    asked = trials(dict.fromkeys((0.0, 0.2, 0.4, 0.6, 0.8, 1.0), 0.1))
    for each in expected_scores(asked, asked, noise=0.01):
        assert each.mean == pytest.approx(0.1) and 0 < each.deviation < 0.01


def test_more_seeds_make_the_expectation_surer() -> None:
    asked = trials({x: truth(x) for x in (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)})
    single = expected_scores(asked, asked, noise=0.1)[2]
    asked[2].curves = [SeedCurve({}, end=truth(0.4))] * 9
    assert expected_scores(asked, asked, noise=0.1)[2].deviation < 0.8 * single.deviation


def hill(points: np.ndarray) -> np.ndarray:
    return np.asarray(0.5 - ((points - [0.7, 0.3]) ** 2).sum(axis=-1))


def stopped_trials(seed: int, *, early: float) -> list[AskedTrial]:
    """Return trials of which every fifth ended, all noisy; early scores follow the hill by ``early``."""
    random, found = np.random.default_rng(seed), []
    for number, point in enumerate(random.random((40, 2))):
        scores = {1: 0.2 + early * hill(point) + random.normal(scale=0.02)}
        end = hill(point) + random.normal(scale=0.2) if number % 5 == 0 else None
        if end is not None:
            scores[4] = end
        found.append(AskedTrial(point, end, curves=[SeedCurve(scores, end=end, is_stopped=end is None)]))
    return found


def agreement(seed: int, *, early: float) -> tuple[float, float]:
    """Return the correlation of expected scores with the hill, and that of those by whole trials alone."""
    found = stopped_trials(seed, early=early)
    whole, truth = (
        [trial for trial in found if trial.score is not None],
        hill(np.array([t.point for t in found])),
    )
    expected = (expected_scores(observed, found, noise=0.2) for observed in (found, whole))
    together, alone = (np.corrcoef([each.mean for each in means], truth)[0, 1] for means in expected)
    return together, alone


def test_early_scores_of_stopped_trials_tell_where_the_best_is() -> None:
    together, alone = np.mean([agreement(seed, early=0.3) for seed in range(4)], axis=0)
    assert together > 0.9 > alone + 0.05


def test_early_scores_that_say_nothing_cost_little() -> None:
    together, alone = np.mean([agreement(seed, early=0.0) for seed in range(10)], axis=0)
    assert together > alone - 0.2


def test_nothing_is_expected_of_the_end_before_two_trials_reached_it() -> None:
    found = stopped_trials(0, early=0.3)
    for trial in found[5:]:
        trial.curves = [SeedCurve({1: trial.curves[0].scores[1]}, is_stopped=True)]
    assert expected_scores(found, found, noise=0.1) == []


@pytest.mark.parametrize("noise", [0.01, 0.3])
def test_noise_is_learnt_from_the_scores_whatever_was_assumed(noise: float) -> None:
    random = np.random.default_rng(0)
    points = random.random((80, 2))
    scores = np.sin(3 * points[:, 0]) + random.normal(scale=0.1, size=80)
    observed = Observations.of_whole(points, scores)
    learnt = noise_between_seeds(fit_process(observed, noise=noise))
    assert 0.05 < learnt < 0.2
    asked = [AskedTrial(*each) for each in zip(points, scores.tolist(), strict=True)]
    assert {each.noise for each in expected_scores(asked, asked[:2], noise=noise)} == {learnt}
