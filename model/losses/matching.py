"""Iterative one-to-one matching of actions and predictions (Algorithm 1, section 7.3)."""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor


def match_one_to_one(
    actions: Float[Tensor, "batch targets"],
    is_action: Bool[Tensor, "batch targets"],
    predicted: Float[Tensor, "batch predictions"],
) -> Int[Tensor, "batch targets"]:
    """Match actions to predictions and return the index of every action's prediction; -1 for padding.

    In each round, every remaining action selects its closest remaining prediction, and every selected
    prediction keeps the closest of its actions. Ties go to the first index, as in the published code.

    Args:
        actions: Locations of the actions, as fractions of the chunk.
        is_action: False for padding; at most as many are True as there are predictions.
        predicted: Predicted locations, as fractions of the chunk.
    """
    batch, targets = actions.shape
    distance = (actions.detach()[:, :, None] - predicted.detach()[:, None, :]).abs()
    distance = distance.masked_fill(~is_action[:, :, None], torch.inf)
    match = torch.full((batch, targets), -1, dtype=torch.long, device=actions.device)
    target_index = torch.arange(targets, device=actions.device)[None, :, None]
    # Rounds without actions change nothing; on a GPU to run them costs less than to ask how many there are.
    rounds = targets if actions.is_cuda or not batch else int(is_action.sum(dim=1).max())
    for _ in range(rounds):
        closest = distance.argmin(dim=2)
        pointing = torch.zeros_like(distance, dtype=torch.bool).scatter_(2, closest[:, :, None], True)
        pointing &= distance.isfinite()
        kept = distance.masked_fill(~pointing, torch.inf).argmin(dim=1)
        matched = pointing & (kept[:, None, :] == target_index)
        match = torch.where(matched.any(dim=2), matched.to(torch.int8).argmax(dim=2), match)
        taken = matched.any(dim=2, keepdim=True) | matched.any(dim=1, keepdim=True)
        distance = distance.masked_fill(taken, torch.inf)
    return match
