"""Action spotting loss, equation (10)."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from model.encoding import SpottingTargets
from model.losses.matching import match_one_to_one


def spotting_loss(
    predicted: Float[Tensor, "batch predictions columns"],
    targets: SpottingTargets,
    *,
    alpha2: float | Float[Tensor, " batch"],
    beta: float | Float[Tensor, " batch"],
    ordered: Bool[Tensor, " batch"] | None = None,
) -> Float[Tensor, " batch"]:
    """Compute the spotting loss of every chunk, equation (10).

    Args:
        predicted: One row per prediction: confidence, location as a fraction of the chunk, class scores.
        targets: Actions of the chunks; this function matches them to the predictions.
        alpha2: Weight of the location error.
        beta: Weight of the confidence of unmatched predictions.
        ordered: True for chunks whose predictions are not matched but keep their order: the i-th prediction
            belongs to the i-th action. None: all chunks are matched.

    Returns:
        One value >= 0 per chunk; zero if the matched predictions equal the actions and the confidence of all
        others is 0.
    """
    match = match_one_to_one(targets.location, targets.is_action, predicted[..., 1])
    if ordered is not None:
        order = torch.arange(targets.location.shape[1], device=predicted.device)
        match = torch.where(ordered[:, None] & targets.is_action, order, match)
    rows = predicted.gather(1, match.clamp_min(0)[..., None].expand(-1, -1, predicted.shape[-1]))
    classes = torch.arange(predicted.shape[-1] - 2, device=predicted.device)
    one_hot = (targets.class_index[..., None] == classes).to(rows.dtype)
    confidence = torch.square(1.0 - rows[..., 0])
    location = _row(alpha2) * torch.square(targets.location - rows[..., 1])
    class_errors = torch.square(one_hot - rows[..., 2:]).sum(dim=-1)
    matched = ((confidence + location + class_errors) * targets.is_action).sum(dim=1)
    used = torch.zeros_like(predicted[..., 0], dtype=torch.int8)
    used.scatter_reduce_(1, match.clamp_min(0), targets.is_action.to(torch.int8), reduce="amax")
    unmatched = (torch.square(predicted[..., 0]) * (used == 0)).sum(dim=1)
    return matched + beta * unmatched


def _row(weight: float | Tensor) -> float | Tensor:
    """A weight per chunk as a column, for all targets of the chunk."""
    return weight[:, None] if isinstance(weight, Tensor) else weight
