"""The action spotting loss, equation (10)."""

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from model.encoding import SpottingTargets
from model.losses.matching import match_one_to_one

Matching = Literal["one-to-one", "none"]


def spotting_loss(
    predicted: Float[Tensor, "batch predictions columns"],
    targets: SpottingTargets,
    *,
    alpha2: float,
    beta: float,
    matching: Matching = "one-to-one",
) -> Float[Tensor, " batch"]:
    """Penalise wrong spots of every chunk.

    Args:
        predicted: One row a prediction: confidence, location as a fraction of the chunk, class scores.
        targets: Actions of the chunks; they are matched to the predictions here.
        alpha2: Weight of the location error.
        beta: Weight of the confidence of unmatched predictions.
        matching: ``none`` leaves the predictions in their order: the i-th is for the i-th action.

    Returns:
        One value >= 0 a chunk; zero when the matched predictions equal the actions and the others are silent.
    """
    if matching == "one-to-one":
        match = match_one_to_one(targets.location, targets.is_action, predicted[..., 1])
    else:
        order = torch.arange(targets.location.shape[1], device=predicted.device)
        match = torch.where(targets.is_action, order, -1)
    rows = predicted.gather(1, match.clamp_min(0)[..., None].expand(-1, -1, predicted.shape[-1]))
    one_hot = functional.one_hot(targets.class_index, predicted.shape[-1] - 2).to(rows.dtype)
    confidence = torch.square(1.0 - rows[..., 0])
    location = alpha2 * torch.square(targets.location - rows[..., 1])
    classes = torch.square(one_hot - rows[..., 2:]).sum(dim=-1)
    matched = ((confidence + location + classes) * targets.is_action).sum(dim=1)
    used = torch.zeros_like(predicted[..., 0], dtype=torch.int8)
    used.scatter_reduce_(1, match.clamp_min(0), targets.is_action.to(torch.int8), reduce="amax")
    unmatched = (torch.square(predicted[..., 0]) * (used == 0)).sum(dim=1)
    return matched + beta * unmatched
