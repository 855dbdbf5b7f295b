"""Likelihood of a process, beside GPyTorch's own, and noise that the fidelities of a training share."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from botorch.optim.closures import get_loss_closure_with_grads
from gpytorch.mlls import ExactMarginalLogLikelihood

from hpo.search import noisy_process
from hpo.search.design import quasi_random_points
from hpo.search.likelihood import Loss, negative_likelihood
from hpo.search.noisy_process import fit_process, noise_between_seeds, predicted, quiet, unfitted_model
from hpo.search.observations import Observations

COUNT = 24
"""Trainings, of which every second reaches fidelity 1, and every fourth the end."""


def trainings(*, shared: float, noise: float = 1.0) -> Observations:
    """Scores of a flat function, whose noise has a part that all fidelities of a training share."""
    random = np.random.default_rng(3)
    points = np.array(quasi_random_points(2, seed=1, count=4 * COUNT))[:COUNT]
    common = np.sqrt(shared) * random.normal(size=COUNT)
    numbers = np.concatenate([np.arange(0, COUNT, 4), np.arange(0, COUNT, 2), np.arange(COUNT)])
    own = np.sqrt(1 - shared) * random.normal(size=len(numbers))
    return Observations(
        points=points[numbers],
        scores=0.1 + 0.03 * noise * (common[numbers] + own),
        fidelities=np.repeat([0, 1, 2], [COUNT // 4, COUNT // 2, COUNT]),
        trainings=numbers,
    )


@pytest.fixture
def likelihood() -> ExactMarginalLogLikelihood:
    observed = trainings(shared=0.5)
    model = unfitted_model(observed, observed.scores * 30, noise=0.5)
    return ExactMarginalLogLikelihood(model.likelihood, model).train()


def test_likelihood_and_gradient_are_those_of_gpytorch(likelihood: ExactMarginalLogLikelihood) -> None:
    parameters = {name: value for name, value in likelihood.named_parameters() if value.requires_grad}
    with quiet():
        expected, gradients = get_loss_closure_with_grads(likelihood, parameters)()
    found, ours = negative_likelihood(likelihood)()
    torch.testing.assert_close(found, expected.detach())
    for name, gradient, our in zip(parameters, gradients, ours, strict=True):
        torch.testing.assert_close(our, gradient, msg=lambda text, name=name: f"{name}: {text}")


def test_noise_is_shared_within_a_training_only(likelihood: ExactMarginalLogLikelihood) -> None:
    noise = likelihood.likelihood
    noise.initialize(raw_distances=noise.raw_of(torch.tensor([0.6, 0.3])))
    covariance = noise.covariance().detach()
    end, half, early, other = 1, COUNT // 4 + 2, COUNT // 4 + COUNT // 2 + 4, 2
    assert covariance[end, half].item() == pytest.approx(0.5 * 0.6)
    assert covariance[half, early].item() == pytest.approx(0.5 * 0.3)
    assert covariance[end, early].item() == pytest.approx(0.5 * 0.18)
    assert covariance[end, other].item() == 0.0
    torch.linalg.cholesky(covariance)


def test_luck_that_lasts_for_a_whole_training_is_not_taken_for_the_shape_of_the_scores() -> None:
    told = trainings(shared=0.9)
    aware = fit_process(told, noise=0.03)
    unaware = fit_process(replace(told, trainings=np.arange(len(told.scores))), noise=0.03)
    means, of_unaware = (predicted(process, told.points)[0] for process in (aware, unaware))
    assert means.std() < 0.5 * of_unaware.std()
    assert noise_between_seeds(unaware) < 0.02 < noise_between_seeds(aware) < 0.04


def test_a_fit_ends_after_so_much_work_and_does_not_begin_again(monkeypatch: pytest.MonkeyPatch) -> None:
    told, seen = trainings(shared=0.5), []

    def noted(likelihood: ExactMarginalLogLikelihood) -> Loss:
        loss = negative_likelihood(likelihood)
        return lambda: (seen.append(loss()), seen[-1])[1]

    monkeypatch.setattr(noisy_process, "negative_likelihood", noted)
    fit_process(told, noise=0.03)
    to_its_end = len(seen)
    monkeypatch.setattr(noisy_process, "FIT_WORK", 4 * len(told.scores))
    fit_process(told, noise=0.03)
    assert len(seen) - to_its_end < to_its_end / 2
