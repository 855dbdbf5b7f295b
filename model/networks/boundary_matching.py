"""Boundary-matching layer: every pair of start and end sees N bins of features in and around it.

The published code samples features first, (batch, C, N, T, T), and then reduces the bins by a convolution:
328 MB per video at T = 100. Sampling is linear in time and the convolution is linear in the bins, so their
order is exchanged here: every position is weighted for every bin first, (batch, T, N, outputs), and a sparse
matrix sums the positions of each pair. The largest tensor is the result itself.
"""

import math
import warnings
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from model.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Sampling:
    """Settings with which a pair is sampled. Defaults are those of the published code."""

    bins: int = 32
    """Number of bins of a pair (N; ``num_sample`` in the published code)."""
    points_per_bin: int = 3
    """Number of interpolated points averaged into one bin (``num_sample_perbin``)."""
    boundary_ratio: float = 0.5
    """Extension of a pair at either end, as a fraction of its length plus one (``prop_boundary_ratio``)."""

    def __post_init__(self) -> None:
        if self.bins < 1 or self.points_per_bin < 1 or self.bins * self.points_per_bin < 2:
            raise ConfigError(
                "BMN bins and points_per_bin must be at least 1, and one of them at least 2, "
                f"got {self.bins} and {self.points_per_bin}"
            )
        if not (math.isfinite(self.boundary_ratio) and self.boundary_ratio >= 0):
            raise ConfigError(f"BMN boundary_ratio must be at least 0, got {self.boundary_ratio:g}")


def valid_pairs(positions: int, longest: int) -> npt.NDArray[np.int64]:
    """List all pairs (start, end) with start <= end < ``positions`` and at most ``longest`` positions."""
    start, end = np.triu_indices(positions)
    return np.stack([start, end], axis=1)[end - start < longest].astype(np.int64)


def bin_weights(
    pairs: npt.NDArray[np.int64], positions: int, sampling: Sampling
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """Compute the weights of all positions in every bin of every pair, as entries of a sparse matrix.

    A pair covers [start, end + 1], extended at both ends by ``boundary_ratio`` times its length plus one. On
    this interval lie ``points_per_bin * bins`` evenly spaced points, the first and last at its ends. A point
    interpolates between the two positions beside it; positions outside the video contribute nothing. As in
    the published code, a point less than one position before the first counts as the first.

    Returns:
        row: index of the pair; column: position times ``bins`` plus bin; weight. An entry may occur twice.
    """
    length = (pairs[:, 1] + 1.0 - pairs[:, 0] + 1.0)[:, None]
    # First, last and step as the published code computes them: rounding decides between two neighbours.
    beyond = length * sampling.boundary_ratio
    first, last = pairs[:, :1] - beyond, pairs[:, 1:] + 1.0 + beyond
    points = sampling.bins * sampling.points_per_bin
    point = first + (last - first) / (points - 1.0) * np.arange(points)
    fraction, whole = np.modf(point)
    bin_index = np.broadcast_to(np.arange(points) // sampling.points_per_bin, point.shape)
    row = np.broadcast_to(np.arange(len(pairs))[:, None], point.shape)
    found = []
    for position, weight in ((whole, 1.0 - fraction), (np.ceil(point), fraction)):
        inside = (position >= 0) & (position < positions) & (weight != 0.0)
        column = position.astype(np.int64) * sampling.bins + bin_index
        found.append((row[inside], column[inside], weight[inside] / sampling.points_per_bin))
    rows, columns, weights = (np.concatenate(parts) for parts in zip(*found, strict=True))
    return rows, columns, weights


@cache
def _sampling_matrices(
    positions: int, longest: int, sampling: Sampling, device: torch.device, dtype: torch.dtype
) -> tuple[Tensor, Tensor]:
    # One matrix and its transpose a process and device, however many networks there are.
    pairs = valid_pairs(positions, longest)
    row, column, weight = bin_weights(pairs, positions, sampling)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Sparse CSR tensor support is in beta state")
        # PyTorch 2.11 says so although they are enabled here.
        warnings.filterwarnings("ignore", message="Sparse invariant checks are implicitly disabled")
        matrix = torch.sparse_coo_tensor(
            torch.from_numpy(np.stack([row, column])),
            torch.from_numpy(weight).to(dtype),
            (len(pairs), positions * sampling.bins),
            check_invariants=True,
        ).coalesce()
        rows, columns = matrix.to_sparse_csr(), matrix.t().coalesce().to_sparse_csr()
    return rows.to(device), columns.to(device)


def _products(matrix: Tensor, dense: Float[Tensor, "batch columns outputs"]) -> Tensor:
    # A video at a time: its numbers stay in a core's cache, those of a batch side by side do not.
    result = dense.new_empty(len(dense), matrix.shape[0], dense.shape[2])
    for one, product in zip(dense, result, strict=True):
        torch.mm(matrix, one, out=product)
    return result


class _Sample(torch.autograd.Function):
    """Products of a constant sparse matrix with dense ones; the gradient is those with its transpose."""

    @staticmethod
    def forward(ctx: Any, matrix: Tensor, transposed: Tensor, dense: Tensor) -> Tensor:
        ctx.save_for_backward(transposed)
        return _products(matrix, dense)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[None, None, Tensor]:
        (transposed,) = ctx.saved_tensors
        return None, None, _products(transposed, gradients[0].contiguous())


def at_least_single(values: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """Convert half precision, as autocast returns it, to float32 so that rounding does not accumulate."""
    return values.to(torch.promote_types(values.dtype, torch.float32))


class BoundaryMatching(nn.Module):
    """Boundary-matching layer combined with the reduction of its bins.

    Args:
        positions: Number of temporal positions (T).
        longest: Length of the longest pair in positions (D).
        sampling: How a pair is sampled.
        features: Input features per position (C).
        outputs: Output features per pair.
        generator: Draws the initial weights, uniform within 1 / sqrt(C N).
    """

    def __init__(
        self,
        positions: int,
        longest: int,
        sampling: Sampling,
        features: int,
        outputs: int,
        generator: torch.Generator,
    ) -> None:
        super().__init__()
        self.size = (positions, longest, sampling)
        bins = sampling.bins
        bound = 1.0 / math.sqrt(features * bins)
        weight, bias = torch.empty(features, bins, outputs), torch.empty(outputs)
        self.weight = nn.Parameter(weight.uniform_(-bound, bound, generator=generator))
        self.bias = nn.Parameter(bias.uniform_(-bound, bound, generator=generator))

    def forward(
        self, features: Float[Tensor, "batch features positions"]
    ) -> Float[Tensor, "batch pairs outputs"]:
        """Compute the features of every pair, in the order of ``valid_pairs``."""
        weighed = at_least_single(features.transpose(1, 2) @ self.weight.flatten(1))
        dense = weighed.view(len(features), -1, self.bias.numel())
        matrix, transposed = _sampling_matrices(*self.size, dense.device, dense.dtype)
        with torch.autocast(features.device.type, enabled=False):
            sampled: Tensor = _Sample.apply(matrix, transposed, dense)  # type: ignore[no-untyped-call]
        return sampled.add_(self.bias)


def pair_index(positions: int, longest: int) -> Int[Tensor, " pairs"]:
    """Return the index of every pair in a flattened map of starts times ends."""
    pairs = valid_pairs(positions, longest)
    return torch.from_numpy(pairs[:, 0] * positions + pairs[:, 1])
