"""Number formats of the matrix products."""

from contextlib import AbstractContextManager
from typing import Literal

import torch

Precision = Literal["float32", "bfloat16"]


def compute_dtype(precision: Precision) -> torch.dtype:
    """Type in which features enter the network."""
    return torch.bfloat16 if precision == "bfloat16" else torch.float32


def reduced_precision(device: torch.device, precision: Precision) -> AbstractContextManager[object]:
    """Run matrix products in bfloat16 inside the context; sums, norms and losses stay in float32."""
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=precision == "bfloat16")
