"""Losses of the boundary-matching network; the paper's segmentation loss can replace one (section 4.2)."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import assert_never

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from model.data.activitynet.labels import BoundaryLabels
from model.data.chunks import sent_to
from model.encoding import Zones, time_shift
from model.errors import ConfigError
from model.losses.forms import TemLoss
from model.losses.segmentation import segmentation_loss_elements
from model.networks.bmn import BoundaryPredictions

IS_BOUNDARY = 0.5
"""Label above which a position counts as a boundary."""
IS_ACTIVITY = 0.9
"""IoU above which a pair counts as an activity."""
HIGH, LOW = 0.7, 0.3
"""Limits of high, middle and low IoU; the regression draws equal numbers of pairs of each."""
_SMALLEST = 1e-6
"""Added to the argument of logarithms, as published."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BoundaryLossConfig:
    """Settings of the losses and their weights. Defaults are those of the published code and the paper."""

    tem_loss: TemLoss = "bmn"
    k1_positions: float = -14.0
    """K1 of starts and ends, in temporal positions; K1 = 2 K2 = -2 K3 = -K4 (section 4.2)."""
    tem_weight: float = 1.0
    """Weight of the loss of the temporal evaluation module (lambda), for either loss."""
    regression_weight: float = 10.0
    """Weight of the regression loss of the IoU."""
    tau_max: float = 0.9
    tau_min: float = 0.1
    published_draw: bool = False
    """Draw pairs for the regression as in the published code.

    If fewer pairs have a middle or low IoU than a high one, the published code takes every entry of the map,
    including those with end < start. False: only pairs of that IoU are drawn.
    """

    def __post_init__(self) -> None:
        if not -float("inf") < self.k1_positions < 0.0:
            raise ConfigError(f"k1_positions must be a finite number below 0, got {self.k1_positions}")
        for name in ("tem_weight", "regression_weight"):
            if not 0.0 <= getattr(self, name) < float("inf"):
                raise ConfigError(f"{name} must be a finite number of at least 0, got {getattr(self, name)}")
        if not 0.0 <= self.tau_min < self.tau_max <= 1.0:
            raise ConfigError(
                "margins must satisfy 0 <= tau_min < tau_max <= 1, "
                f"got tau_min {self.tau_min} and tau_max {self.tau_max}"
            )

    @property
    def zones(self) -> Zones:
        """Zones K1..K4 of starts and of ends, in positions."""
        k1 = self.k1_positions
        return Zones(((k1, k1 / 2, -k1 / 2, -k1),) * 2)


@dataclass(frozen=True, slots=True)
class BoundaryTargets:
    """Labels of a batch of videos, see ``data.activitynet.labels.BoundaryLabels``."""

    start: Float[Tensor, "batch positions"]
    end: Float[Tensor, "batch positions"]
    overlap: Float[Tensor, "batch starts ends"]
    past: Int[Tensor, "positions batch 2"]
    future: Int[Tensor, "positions batch 2"]


def stack_targets(labels: Sequence[BoundaryLabels], device: torch.device | str = "cpu") -> BoundaryTargets:
    """Stack the labels of single videos to those of a batch."""
    start, end, overlap = (
        torch.from_numpy(np.stack([getattr(label, name) for label in labels])).to(device)
        for name in ("start", "end", "overlap")
    )
    past, future = (
        torch.from_numpy(np.stack([getattr(label, name) for label in labels], axis=1)).to(device)
        for name in ("past", "future")
    )
    return BoundaryTargets(start, end, overlap, past, future)


@dataclass(frozen=True, slots=True)
class BoundaryLosses:
    """Losses of a batch; only ``total`` includes the weights."""

    tem: Float[Tensor, ""]
    regression: Float[Tensor, ""]
    classification: Float[Tensor, ""]
    total: Float[Tensor, ""]


def boundary_losses(
    predicted: BoundaryPredictions,
    target: BoundaryTargets,
    config: BoundaryLossConfig,
    draws: Float[Tensor, "2 batch starts ends"],
    longest: int | None = None,
) -> BoundaryLosses:
    """Compute all losses of a batch of videos.

    Args:
        predicted: Output of the network.
        target: Labels of the same videos.
        config: Settings of the losses.
        draws: Numbers of ``draw_uniform``; they choose the pairs of a middle and of a low IoU to regress.
        longest: Length of the longest proposal in positions (D), beyond which no pair counts. None: any.
    """
    counted = torch.ones_like(target.overlap, dtype=torch.bool).triu()
    if longest is not None:
        counted = counted.tril(longest - 1)
    tem = _tem_loss(predicted, target, config)
    regression = regression_loss(
        predicted.overlap, target.overlap, counted, draws, published=config.published_draw
    )
    classification = balanced_log_loss(predicted.confidence, target.overlap > IS_ACTIVITY, counted)
    total = config.tem_weight * tem + config.regression_weight * regression + classification
    return BoundaryLosses(tem, regression, classification, total)


def draw_uniform(overlap: Float[Tensor, "batch starts ends"], generator: torch.Generator) -> Tensor:
    """Draw numbers in [0, 1) for ``boundary_losses``; the published code draws them without a seed.

    ``generator`` lives on the CPU, so that a trial draws the same pairs on every device.
    """
    return sent_to(overlap.device, torch.rand((2, *overlap.shape), generator=generator))


def _tem_loss(predicted: BoundaryPredictions, target: BoundaryTargets, config: BoundaryLossConfig) -> Tensor:
    match config.tem_loss:
        case "context-aware":
            return context_aware_loss(predicted, target, config)
        case "bmn":
            return _published_tem_loss(predicted, target)
        case _:
            assert_never(config.tem_loss)


def _published_tem_loss(predicted: BoundaryPredictions, target: BoundaryTargets) -> Tensor:
    everywhere = torch.ones_like(target.start, dtype=torch.bool)
    return balanced_log_loss(predicted.start, target.start > IS_BOUNDARY, everywhere) + balanced_log_loss(
        predicted.end, target.end > IS_BOUNDARY, everywhere
    )


def context_aware_loss(
    predicted: BoundaryPredictions, target: BoundaryTargets, config: BoundaryLossConfig
) -> Float[Tensor, ""]:
    """Compute L_seg, equation (9), of starts and ends as two classes of actions, averaged over the batch."""
    score = torch.stack([predicted.start.T, predicted.end.T], dim=-1)
    zones, tau_max, tau_min = _constants(config, score.device)
    shift = time_shift(target.past, target.future, zones)
    return segmentation_loss_elements(score, shift, zones, tau_max=tau_max, tau_min=tau_min).mean()


@lru_cache(maxsize=64)
def _constants(config: BoundaryLossConfig, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """Return zones, tau_max and tau_min on a device, copied once and not in every step."""
    zones = config.zones.tensor(device)[:, None, None]
    return zones, torch.tensor([config.tau_max], device=device), torch.tensor([config.tau_min], device=device)


def balanced_log_loss(
    score: Float[Tensor, "*shape"], positive: Bool[Tensor, "*shape"], counted: Bool[Tensor, "*shape"]
) -> Float[Tensor, ""]:
    """Compute the cross-entropy with equal weight of positives and negatives, averaged over ``counted``.

    If a batch has no entry of one kind, the other kind still has half the weight; the published code gives
    NaN.
    """
    is_positive, is_negative = positive & counted, ~positive & counted
    entries, positives = counted.sum(), is_positive.sum()
    share = entries.clamp_min(1)
    hit = (score + _SMALLEST).log() * is_positive * (0.5 * share / positives.clamp_min(1))
    miss = (1.0 - score + _SMALLEST).log() * is_negative * (0.5 * share / (entries - positives).clamp_min(1))
    return -(hit + miss).sum() / share


def regression_loss(
    predicted: Float[Tensor, "batch starts ends"],
    overlap: Float[Tensor, "batch starts ends"],
    counted: Bool[Tensor, "batch starts ends"],
    draws: Float[Tensor, "2 batch starts ends"],
    *,
    published: bool = False,
) -> Float[Tensor, ""]:
    """Compute half the mean squared error of the IoU over pairs of high, middle and low IoU.

    All pairs with a high IoU are taken. A pair with a middle or low IoU is taken with the probability that
    makes the expected numbers equal; for ``published`` see ``BoundaryLossConfig.published_draw``. The loss is
    0 if no pair is taken; the published code gives NaN.
    """
    high = (overlap > HIGH) & counted
    middle = (overlap > LOW) & ~high & counted
    low = (overlap > 0.0) & (overlap <= LOW) & counted
    weight = high.to(predicted.dtype)
    for kind, drawn in ((middle, draws[0]), (low, draws[1])):
        share = high.sum() / kind.sum().clamp_min(1)
        threshold = 1.0 - (share if published else share.clamp_max(1.0))
        taken = drawn * kind > threshold
        weight = weight + (taken if published else taken & kind)
    squared = torch.square(weight * (predicted - overlap))
    return 0.5 * squared.sum() / weight.sum().clamp_min(1.0)
