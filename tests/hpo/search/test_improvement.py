"""Expected improvement over points whose scores are noisy or not known yet, beside BoTorch's own."""

import numpy as np
import pytest
import torch
from botorch.acquisition.logei import qLogNoisyExpectedImprovement
from botorch.sampling.normal import SobolQMCNormalSampler

from hpo.search import improvement
from hpo.search.design import quasi_random_points
from hpo.search.improvement import noisy_improvement
from hpo.search.noisy_process import Array, NoisyProcess, fit_process
from hpo.search.observations import Observations

RUNNING = np.array([[0.35, 0.55], [0.8, 0.2], [0.35, 0.55]])
"""Points of running trials; one has two seeds."""
DRAWS = 8192
CANDIDATES = np.array(quasi_random_points(2, seed=5, count=40))


@pytest.fixture(scope="module")
def observed() -> Observations:
    points = np.array(quasi_random_points(2, seed=1, count=12))
    noise = np.random.default_rng(0).normal(scale=0.02, size=len(points))
    scores = 0.5 - ((points - [0.3, 0.6]) ** 2).sum(axis=1) + noise
    return Observations.of_whole(points, scores)


@pytest.fixture(scope="module")
def model(observed: Observations) -> NoisyProcess:
    return fit_process(observed, noise=0.02)


def by_botorch(model: NoisyProcess, running: Array) -> Array:
    acquisition = qLogNoisyExpectedImprovement(
        model.model,
        model.observed_inputs,
        sampler=SobolQMCNormalSampler(torch.Size([DRAWS]), seed=2),
        X_pending=model.inputs(running) if len(running) else None,
        prune_baseline=False,
        tau_relu=1e-6,  # otherwise it rounds off where the improvement begins
    )
    with torch.no_grad():
        values: Array = acquisition(model.inputs(CANDIDATES).unsqueeze(1)).exp().numpy()
    return values * model.unit


@pytest.mark.filterwarnings("ignore:A not p.d.")  # BoTorch's own, where two seeds of a point run
@pytest.mark.parametrize("running", [np.empty((0, 2)), RUNNING], ids=["none", "running"])
def test_improvement_is_that_of_botorch(
    model: NoisyProcess, running: Array, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(improvement, "_DRAWS", DRAWS)
    ours = np.exp(noisy_improvement(model, running=running, seed=1)(CANDIDATES))
    theirs = by_botorch(model, running)
    assert theirs.max() > 5e-4
    np.testing.assert_allclose(ours, theirs, rtol=0.1, atol=0.02 * theirs.max())


def test_point_that_is_running_is_worth_less_and_a_hopeless_one_is_still_compared(
    model: NoisyProcess,
) -> None:
    points = np.array([[0.25, 0.65], RUNNING[0], [1.0, 0.0]])

    def gains(running: Array) -> Array:
        return noisy_improvement(model, running=running, seed=1)(points)

    before, now = gains(np.empty((0, 2))), gains(RUNNING)
    assert before[1] > before[0] and now[1] < now[0]
    assert np.isfinite(now).all() and now[2] < now[1] - 100


@pytest.mark.parametrize("scores", [np.full(12, 0.3), np.eye(12)[0]], ids=["equal", "all but one 0"])
def test_equal_scores_and_a_point_that_runs_many_times_can_be_compared(
    observed: Observations, scores: Array
) -> None:
    known = Observations.of_whole(observed.points, scores)
    running = np.tile(observed.points[:1], (60, 1))
    fitted = fit_process(known, noise=0.03)
    gains = noisy_improvement(fitted, running=running, seed=1)(CANDIDATES)
    assert not np.isnan(gains).any() and np.ptp(gains) > 0
