"""Searches that start from scores on other data."""

import numpy as np
import torch

from hpo.search.botorch_searcher import INITIAL_WITH_RELATED, BoTorchSearcher
from hpo.search.design import quasi_random_points
from hpo.search.expected import expected_scores
from hpo.search.noisy_process import fit_process, predicted
from hpo.search.observations import Observations, observations, related_observations
from hpo.search.prior_means import RelatedMean
from hpo.search.searcher import ScoredPoint
from hpo.space.parameters import FloatParameter
from hpo.space.space import Space

SQUARE = Space([FloatParameter("x", 0.0, 1.0), FloatParameter("y", 0.0, 1.0)])
DESIGN = np.array(quasi_random_points(2, seed=4, count=16))


def hill(points: np.ndarray) -> np.ndarray:
    """Scores of a hill whose top is at (0.8, 0.2)."""
    return np.asarray(1 - ((points - [0.8, 0.2]) ** 2).sum(axis=-1))


def known(scores: np.ndarray, *, related: bool = True) -> list[ScoredPoint]:
    return [
        ScoredPoint({"x": float(x), "y": float(y)}, float(score), is_related=related)
        for (x, y), score in zip(DESIGN, scores, strict=True)
    ]


def searcher_with(scores: np.ndarray) -> BoTorchSearcher:
    return BoTorchSearcher(SQUARE, seed=0, noise=0.01, known=known(scores))


def told(searcher: BoTorchSearcher, trials: int) -> list[float]:
    """Ask for trials and tell half of the hill's height; returns their distances from the top."""
    distances = []
    for number in range(trials):
        point = searcher.ask(f"t{number}")
        assert point is not None
        at = np.array([point["x"], point["y"]], dtype=float)
        searcher.tell(f"t{number}", 0.5 * float(hill(at)))
        distances.append(float(np.linalg.norm(at - [0.8, 0.2])))
    return distances


def test_best_related_point_comes_first_and_the_next_ones_of_the_model_are_near_the_top() -> None:
    best = DESIGN[np.argmax(hill(DESIGN))]
    distances = told(searcher_with(3 + 5 * hill(DESIGN)), INITIAL_WITH_RELATED + 2)
    assert distances[0] == np.linalg.norm(best - [0.8, 0.2])
    cold = told(BoTorchSearcher(SQUARE, seed=0, noise=0.01), len(distances))
    assert max(distances[INITIAL_WITH_RELATED:]) < 0.3 < np.mean(cold)


def test_related_scores_that_say_the_opposite_are_given_up() -> None:
    distances = told(searcher_with(-5 * hill(DESIGN)), 10)
    assert min(distances) < 0.1


def test_related_points_can_be_tried_and_are_no_observations() -> None:
    searcher = searcher_with(hill(DESIGN))
    assert searcher.observed == [] and len(searcher.related) == len(DESIGN)
    first = searcher.ask("t0")
    assert first is not None
    assert SQUARE.to_unit(first).tolist() in DESIGN.tolist()


def test_few_scores_with_the_shape_of_related_ones_predict_the_rest() -> None:
    few, rest = DESIGN[:4], DESIGN[4:]
    observed = Observations.of_whole(few, 0.1 * hill(few))
    searcher = searcher_with(hill(DESIGN) + 7)
    related = related_observations(searcher.related)
    assert related is not None
    plain, _ = predicted(fit_process(observed, noise=0.01), rest)
    warm, _ = predicted(fit_process(observed, noise=0.01, prior=fit_process(related, noise=0.01)), rest)
    errors = [np.abs(means - 0.1 * hill(rest)).max() for means in (plain, warm)]
    assert errors[1] < 0.5 * errors[0]


def test_expected_scores_use_related_ones_and_fewer_than_five_of_those_say_nothing() -> None:
    searcher = searcher_with(hill(DESIGN))
    told(searcher, 6)
    asked = searcher.observed
    alone = expected_scores(asked, asked, noise=0.03)
    assert expected_scores(asked, asked, noise=0.03, related=searcher.related[:4]) == alone
    assert expected_scores(asked, asked, noise=0.03, related=searcher.related) != alone


def test_shape_is_the_posterior_mean_of_the_related_process() -> None:
    random = np.random.default_rng(0)
    scores = hill(DESIGN) + random.normal(scale=0.02, size=len(DESIGN))
    seen = Observations.of_whole(DESIGN, scores)
    process, asked = fit_process(seen, noise=0.03), random.random((3, 7, 2))
    of_design, expected = (predicted(process, points)[0] for points in (DESIGN, asked.reshape(-1, 2)))
    mean = RelatedMean(process, 1)
    mean.weight.data.fill_(1.0)
    with torch.no_grad():
        shape = mean(torch.nn.functional.pad(torch.from_numpy(asked), (0, 1))).numpy()
    standard = (expected - of_design.mean()) / process.unit
    assert np.allclose(shape, standard.reshape(3, 7), atol=1e-9)


def test_known_scores_that_were_only_expected_are_compared_among_themselves() -> None:
    points = [ScoredPoint({"x": place / 9, "y": 0.2}, 0.1 * place, variance=0.01) for place in range(6)]
    whole = [ScoredPoint({"x": place / 9, "y": 0.4}, 0.5 + 0.1 * place) for place in range(3)]
    searcher = BoTorchSearcher(SQUARE, seed=0, known=[*points, *whole])
    told = observations(searcher.observed, limit=100)
    assert told.fidelities.tolist() == [0] * 3 + [1] * 6 and told.reach_end
