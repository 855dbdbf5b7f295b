"""What the simulated GPU lacks for the boundary-matching network: sparse tensors, and moves of modules."""

from functools import cache
from typing import Any

import torch

from model.networks import boundary_matching
from model.training.boundary.slot import BoundarySlot

CPU = torch.device("cpu")


def install_boundary() -> None:
    """Let the network have dense sampling matrices, and a slot replace its parameters when it is moved."""
    sparse = boundary_matching._sampling_matrices

    @cache
    def dense(*args: Any) -> tuple[torch.Tensor, ...]:
        *rest, device, dtype = args
        return tuple(matrix.to_dense().to(device) for matrix in sparse(*rest, CPU, dtype))

    boundary_matching._sampling_matrices = dense  # type: ignore[assignment]
    BoundarySlot.place = _place  # type: ignore[method-assign]


def _place(slot: BoundarySlot, device: torch.device) -> None:
    """``Module.to`` keeps the wrappers of parameters, so that they are replaced here."""
    for module in slot.network.modules():
        for name, value in module._parameters.items():
            if value is not None:
                module._parameters[name] = torch.nn.Parameter(value.detach().to(device))
        for name, buffer in module._buffers.items():
            assert buffer is not None
            module._buffers[name] = buffer.to(device)
    config = slot.config
    slot._optimizer = torch.optim.Adam(
        slot.network.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay, fused=True
    )
