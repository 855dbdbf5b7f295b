"""Losses of the boundary-matching network where the published code says NaN or takes too much."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from model.data.activitynet.labels import boundary_labels
from model.encoding import time_shift
from model.errors import ConfigError
from model.losses.boundary import (
    BoundaryLossConfig,
    BoundaryTargets,
    balanced_log_loss,
    boundary_losses,
    draw_uniform,
    regression_loss,
    stack_targets,
)
from model.losses.segmentation import segmentation_loss_elements
from model.networks.bmn import BoundaryPredictions

POSITIONS = 20


def targets(*segments: list[list[float]]) -> BoundaryTargets:
    return stack_targets([boundary_labels(np.array(rows).reshape(-1, 2), POSITIONS) for rows in segments])


def predictions(videos: int, seed: int = 0) -> BoundaryPredictions:
    generator = torch.Generator().manual_seed(seed)
    shapes = [(videos, POSITIONS)] * 2 + [(videos, POSITIONS, POSITIONS)] * 2
    return BoundaryPredictions(*(torch.rand(s, generator=generator).requires_grad_() for s in shapes))


@pytest.mark.parametrize("tem_loss", ["bmn", "context-aware"])
@pytest.mark.parametrize("segments", [[], [[0.0, 1.0]], [[0.31, 0.33]]])
def test_losses_and_gradients_are_finite_whatever_the_activities(
    tem_loss: str, segments: list[list[float]]
) -> None:
    target, predicted = targets(segments), predictions(1)
    draws = draw_uniform(target.overlap, torch.Generator().manual_seed(0))
    losses = boundary_losses(predicted, target, BoundaryLossConfig(tem_loss=tem_loss), draws)
    losses.total.backward()
    assert losses.total.isfinite()
    for value in (predicted.start, predicted.end, predicted.overlap, predicted.confidence):
        assert value.grad.isfinite().all()


def test_entries_that_are_no_pairs_cost_nothing() -> None:
    # Many pairs of a high IoU and few of the others: the published draw takes every entry of the map.
    overlap = torch.full((1, 6, 6), 0.9).triu()
    overlap[0, 0, 5] = 0.5
    counted, draws = torch.ones_like(overlap).triu().bool(), torch.full((2, 1, 6, 6), 0.5)
    predicted = torch.full((1, 6, 6), 0.4)
    wrong_below = predicted + torch.ones(6, 6).tril(-1)
    ours = [regression_loss(p, overlap, counted, draws) for p in (predicted, wrong_below)]
    published = [
        regression_loss(p, overlap, counted, draws, published=True) for p in (predicted, wrong_below)
    ]
    assert ours[0] == ours[1]
    assert published[0] < published[1]


def test_as_many_middling_pairs_are_drawn_as_there_are_high_ones() -> None:
    overlap = torch.full((4, 60, 60), 0.5).triu()
    overlap[:, 0, :30] = 0.9
    counted = torch.ones_like(overlap).triu().bool()
    draws = draw_uniform(overlap, torch.Generator().manual_seed(3))
    # An error of 1 on middling pairs only: half the share of them among those taken.
    predicted = overlap + (overlap == 0.5)
    assert float(regression_loss(predicted, overlap, counted, draws)) == pytest.approx(0.25, abs=0.04)


def test_the_same_seed_draws_the_same_pairs() -> None:
    overlap = torch.zeros(2, 5, 5)
    first, second = (draw_uniform(overlap, torch.Generator().manual_seed(7)) for _ in range(2))
    assert torch.equal(first, second)
    assert not torch.equal(first, draw_uniform(overlap, torch.Generator().manual_seed(8)))


def test_positives_and_negatives_weigh_the_same() -> None:
    score, positive = torch.tensor([0.5, 0.5, 0.5, 0.5]), torch.tensor([True, False, False, False])
    loss = balanced_log_loss(score, positive, torch.ones(4, dtype=torch.bool))
    assert float(loss) == pytest.approx(np.log(2), rel=1e-5)


def test_context_aware_loss_is_that_of_starts_and_ends_as_two_classes() -> None:
    target, predicted = targets([[0.2, 0.5]], [[0.1, 0.3], [0.6, 0.9]]), predictions(2)
    config = BoundaryLossConfig(tem_loss="context-aware", k1_positions=-6.0, tem_weight=0.5)
    draws = torch.zeros((2, *target.overlap.shape))
    expected = []
    zones = torch.tensor([-6.0, -3.0, 3.0, 6.0]).view(4, 1, 1).expand(4, 1, 2)
    for video in range(2):
        score = torch.stack([predicted.start[video], predicted.end[video]], dim=1)
        shift = time_shift(target.past[:, video], target.future[:, video], zones[:, 0])
        elements = segmentation_loss_elements(score, shift, zones[:, 0], tau_max=0.9, tau_min=0.1)
        expected.append(elements.mean())
    losses = boundary_losses(predicted, target, config, draws)
    torch.testing.assert_close(losses.tem, sum(expected) / 2)
    torch.testing.assert_close(
        losses.total, 0.5 * losses.tem + 10.0 * losses.regression + losses.classification
    )


def test_pairs_beyond_the_longest_one_change_no_loss() -> None:
    target, predicted = targets([[0.2, 0.5]], [[0.1, 0.9]]), predictions(2)
    draws = torch.rand((2, *target.overlap.shape), generator=torch.Generator().manual_seed(0))
    far = torch.ones_like(target.overlap).triu(5).bool()
    other = replace(
        predicted,
        overlap=predicted.overlap.masked_fill(far, 0.9),
        confidence=predicted.confidence.masked_fill(far, 0.9),
    )
    config = BoundaryLossConfig()
    limited = [boundary_losses(each, target, config, draws, 5).total for each in (predicted, other)]
    assert torch.equal(limited[0], limited[1])
    whole = [boundary_losses(each, target, config, draws).total for each in (predicted, other)]
    assert not torch.equal(whole[0], whole[1])


def test_boundaries_lie_on_the_nearest_position() -> None:
    target = targets([[0.24, 0.51]])
    assert target.past[:, 0, 0].eq(0).nonzero().item() == 5
    assert target.past[:, 0, 1].eq(0).nonzero().item() == 10


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"tem_weight": -1.0}, "tem_weight must be a finite number of at least 0, got -1"),
        ({"regression_weight": float("inf")}, "regression_weight must be a finite number of at least 0"),
        ({"k1_positions": 3.0}, "k1_positions must be a finite number below 0, got 3"),
        ({"tau_min": 0.95}, r"tau_min < tau_max <= 1, got tau_min 0\.95 and tau_max 0\.9"),
    ],
)
def test_impossible_settings_are_refused(change: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        BoundaryLossConfig(**change)
