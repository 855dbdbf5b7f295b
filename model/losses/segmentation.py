"""Context-aware segmentation loss, equations (1) to (9)."""

import math
from typing import assert_never

import torch
from jaxtyping import Float
from torch import Tensor

from model.losses.forms import SegmentationForm

SMALLEST_LIKELIHOOD = 1e-6
"""Likelihood below which the logarithm is replaced by its tangent.

Loss and gradient are then finite for scores of exactly 0 and 1; the published code gives NaN there.
"""


def negative_log(likelihood: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """Return -ln(likelihood), continued linearly below ``SMALLEST_LIKELIHOOD``."""
    tangent = -math.log(SMALLEST_LIKELIHOOD) + 1.0 - likelihood / SMALLEST_LIKELIHOOD
    inside = likelihood > SMALLEST_LIKELIHOOD
    return torch.where(inside, -likelihood.clamp_min(SMALLEST_LIKELIHOOD).log(), tangent)


def likelihood_ends(
    shift: Float[Tensor, "*frames classes"],
    zones: Float[Tensor, "4 *#frames classes"],
    form: SegmentationForm = "paper",
) -> tuple[Float[Tensor, "*frames classes"], Float[Tensor, "*frames classes"]]:
    """Compute the arguments of the logarithm in equations (1) to (6), linear in p, at p = 0 and at p = 1.

    At p = 0 it is s / K3 just after an action (4) and 1 elsewhere. At p = 1 it is 0 far from actions
    (1, 6), rises from K1 to K2 (2), is 1 from K2 to K3 (3, 4) and falls from K3 to K4 (5).

    The original code has p + s / K3 for equation (4) and 1 - p + (K4 - s) / (K4 - K3) for equation (5).
    """
    k1, k2, k3, k4 = zones
    rising = ((shift - k1) / (k2 - k1)).clamp(0.0, 1.0)
    falling = ((k4 - shift) / (k4 - k3)).clamp(0.0, 1.0)
    just_after = (shift >= 0) & (shift < k3)
    at_zero = torch.where(just_after, shift / k3, 1.0)
    at_one = torch.where(shift < 0, rising, falling)
    match form:
        case "paper":
            return at_zero, at_one
        case "published-2020":
            fading = torch.where((shift >= k3) & (shift < k4), falling, 0.0)
            return at_zero + fading, torch.where(just_after, 1.0 + at_zero, at_one)
        case _:
            assert_never(form)


def segmentation_loss_elements(
    score: Float[Tensor, "*frames classes"],
    shift: Float[Tensor, "*frames classes"],
    zones: Float[Tensor, "4 *#frames classes"],
    *,
    tau_max: float | Float[Tensor, "*#frames classes_or_1"],
    tau_min: float | Float[Tensor, "*#frames classes_or_1"],
    form: SegmentationForm = "paper",
) -> Float[Tensor, "*frames classes"]:
    """Compute the loss of every frame and class with its margin, equations (7) and (8).

    Args:
        score: Segmentation score p in [0, 1]; 1 means that the action has just happened.
        shift: Time-shift encoding s, in frames.
        zones: Rows K1..K4, in frames.
        tau_max: Score above which there is no loss at the action itself.
        tau_min: Score below which there is no loss far from actions.
        form: Form of equations (4) and (5).

    Returns:
        Finite values >= 0, with finite gradients for every score in [0, 1].
    """
    at_zero, at_one = likelihood_ends(shift, zones, form)
    just_after = (shift >= 0) & (shift < zones[2])
    high, low = torch.as_tensor(tau_max), torch.as_tensor(tau_min)
    satisfied = -torch.where(just_after, high.log(), (1.0 - low).log())
    return (negative_log(at_zero * (1.0 - score) + at_one * score) - satisfied).clamp_min(0.0)
