"""Number formats of the matrix products."""

from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import torch

Precision = Literal["float32", "bfloat16"]


def compute_dtype(precision: Precision) -> "torch.dtype":
    """Return the type of the features that enter a network, which is that of its matrix products.

    Weights, sums, norms and losses are float32 in either case.
    """
    import torch  # commands that only read a study do without

    return torch.bfloat16 if precision == "bfloat16" else torch.float32
