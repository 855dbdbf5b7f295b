import numpy as np
import pytest

from hpo.search import bayesian
from hpo.search.bayesian import INITIAL_POINTS, BayesOptSearcher
from hpo.space.parameters import FloatParameter, IntParameter
from hpo.space.space import Space

square = Space([FloatParameter("x", 0.0, 1.0), FloatParameter("y", 0.0, 1.0)])


def hill(searcher: BayesOptSearcher, trials: int) -> None:
    """Ask and tell ``trials`` points of a hill whose top is at (0.3, 0.6)."""
    for _ in range(trials):
        name = f"t{len(searcher.trials)}"
        point = searcher.ask(name)
        assert point is not None
        searcher.tell(name, 1 - (float(point["x"]) - 0.3) ** 2 - (float(point["y"]) - 0.6) ** 2)


def test_walks_to_the_top_of_a_smooth_hill() -> None:
    searcher = BayesOptSearcher(square, seed=0, noise=0.001)
    hill(searcher, 16)
    best = max(searcher.trials.values(), key=lambda trial: trial.score or 0)
    np.testing.assert_allclose(best.point, [0.3, 0.6], atol=0.03)


def test_running_trials_keep_the_next_ones_away_from_their_place() -> None:
    searcher = BayesOptSearcher(square, seed=0, noise=0.001)
    hill(searcher, INITIAL_POINTS + 3)
    names = ["p0", "p1", "p2"]
    assert all(searcher.ask(name) for name in names)
    points = [searcher.trials[name].point for name in names]
    distances = [np.linalg.norm(points[a] - points[b]) for a, b in ((0, 1), (0, 2), (1, 2))]
    assert min(distances) > 0.02


def test_equal_scores_everywhere_do_not_stop_it() -> None:
    searcher = BayesOptSearcher(square, seed=0)
    for number in range(INITIAL_POINTS + 3):
        assert searcher.ask(f"t{number}") is not None
        searcher.tell(f"t{number}", 0.0)


def test_without_noise_it_does_not_stop_either() -> None:
    searcher = BayesOptSearcher(square, seed=0, noise=0.0)
    hill(searcher, INITIAL_POINTS + 3)


def test_far_more_trials_than_the_model_sees(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bayesian, "POINTS_SEEN", 10)
    searcher = BayesOptSearcher(Space([IntParameter("n", 1, 1000)]), seed=0)
    for number in range(300):
        searcher.replay(f"t{number}", {"n": 1 + number})
        searcher.tell(f"t{number}", number % 7 / 10)
    assert searcher.ask("next") is not None
