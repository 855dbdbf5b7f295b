"""A model of all trials tells luck from a good configuration."""

import math

import numpy as np
import pytest

from hpo.search.curves import ScoreEstimate
from hpo.search.expected import LEAST_POINTS, expected_scores
from hpo.search.noisy_process import fit_process, predicted
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
    asked[2].estimates = [ScoreEstimate(truth(0.4))] * 9
    assert expected_scores(asked, asked, noise=0.1)[2].deviation < 0.8 * single.deviation


def test_what_is_hardly_known_hardly_counts() -> None:
    points = np.linspace(0, 1, 12)[:, np.newaxis]
    scores, variances = np.sin(6 * points[:, 0]), np.zeros(12)
    scores[5], variances[5] = 9.0, 1e4
    observed = Observations(points=points, scores=scores, variances=variances)
    mean, _ = predicted(fit_process(observed, noise=0.03), points[5:6])
    assert mean[0] < 3.0


@pytest.mark.parametrize("noise", [0.01, 0.3])
def test_noise_is_learnt_from_the_scores_whatever_was_assumed(noise: float) -> None:
    random = np.random.default_rng(0)
    points = random.random((80, 2))
    scores = np.sin(3 * points[:, 0]) + random.normal(scale=0.1, size=80)
    observed = Observations(points=points, scores=scores, variances=np.zeros(80))
    model = fit_process(observed, noise=noise)
    learnt = math.sqrt(model.likelihood.second_noise.item()) * float(np.std(scores, ddof=1))
    assert 0.05 < learnt < 0.2
