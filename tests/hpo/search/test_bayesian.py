import numpy as np
import pytest
from hill import SQUARE, climb

from hpo.search import bayesian
from hpo.search.bayesian import INITIAL_POINTS, BayesOptSearcher
from hpo.space.parameters import IntParameter
from hpo.space.space import Space


def test_walks_to_the_top_of_a_smooth_hill() -> None:
    searcher = BayesOptSearcher(SQUARE, seed=0, noise=0.001)
    climb(searcher, 16)
    best = max(searcher.trials.values(), key=lambda trial: trial.score or 0)
    np.testing.assert_allclose(best.point, [0.3, 0.6], atol=0.03)


def test_running_trials_keep_the_next_ones_away_from_their_place() -> None:
    searcher = BayesOptSearcher(SQUARE, seed=0, noise=0.001)
    climb(searcher, INITIAL_POINTS + 3)
    names = ["p0", "p1", "p2"]
    assert all(searcher.ask(name) for name in names)
    points = [searcher.trials[name].point for name in names]
    distances = [np.linalg.norm(points[a] - points[b]) for a, b in ((0, 1), (0, 2), (1, 2))]
    assert min(distances) > 0.02


def test_equal_scores_everywhere_do_not_stop_it() -> None:
    searcher = BayesOptSearcher(SQUARE, seed=0)
    for number in range(INITIAL_POINTS + 3):
        assert searcher.ask(f"t{number}") is not None
        searcher.tell(f"t{number}", 0.0)


def test_without_noise_it_does_not_stop_either() -> None:
    searcher = BayesOptSearcher(SQUARE, seed=0, noise=0.0)
    climb(searcher, INITIAL_POINTS + 3)


def test_far_more_trials_than_the_model_sees(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bayesian, "POINTS_SEEN", 10)
    searcher = BayesOptSearcher(Space([IntParameter("n", 1, 1000)]), seed=0)
    for number in range(300):
        searcher.replay(f"t{number}", {"n": 1 + number})
        searcher.tell(f"t{number}", number % 7 / 10)
    assert searcher.ask("next") is not None
