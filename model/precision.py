"""Number formats of the matrix products."""

from typing import Literal

import torch

Precision = Literal["float32", "bfloat16"]


def compute_dtype(precision: Precision) -> torch.dtype:
    """Type in which features enter a network: that of its matrix products.

    Weights, sums, norms and losses are float32 whatever it is.
    """
    return torch.bfloat16 if precision == "bfloat16" else torch.float32
