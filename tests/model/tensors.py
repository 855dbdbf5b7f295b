"""Random tensors, and whether two trials have the same weights."""

import torch

from model.training.boundary.slot import BoundarySlot
from model.training.slot import Slot


def draw_numbers(seed: int, *shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def same_weights(first: Slot | BoundarySlot, second: Slot | BoundarySlot) -> bool:
    ours, theirs = first.network.state_dict(), second.network.state_dict()
    return ours.keys() == theirs.keys() and all(torch.equal(ours[name], theirs[name]) for name in ours)
