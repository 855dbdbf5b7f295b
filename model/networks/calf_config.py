"""Sizes of the network of section 7.2, and its output."""

import math
from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from model.errors import ConfigError
from model.networks.layers import pooled_frames

PYRAMID_OUTPUTS = (8, 16, 32, 64)
PYRAMID_SHARES = (7, 3, 2, 1)
"""Divisors of r that give the kernel lengths, rounded up as in the published code."""


def longest_receptive_field(chunk_frames: int) -> int:
    """Return the largest r in frames for a chunk: its edges, r/2 rounded up, leave at least one frame."""
    return 2 * ((chunk_frames - 1) // 2)


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkConfig:
    """Sizes of the network. Defaults are the paper's."""

    input_size: int
    """Length of the feature vector of a frame."""
    classes: int
    """Number of classes (C)."""
    class_features: int = 16
    """Features per class and frame before the segmentation module (f)."""
    receptive_field_frames: int = 80
    """Length of the longest temporal kernel in frames (r)."""
    chunk_frames: int = 240
    """Frames per chunk (N_F)."""
    predictions: int = 5
    """Predictions per chunk (N_pred)."""
    norm_eps: float = 1e-3
    """Constant added to the variance, as in both published codes; the paper gives no value."""
    norm_momentum: float | None = None
    """Weight of a new batch in the running statistics, 0.01 in both published codes.

    None: the statistics are estimated from training chunks before every validation, so that the score of a
    short training is fair.
    """
    norm_unbiased: bool = False
    """True: the running variance is the unbiased estimate (divisor n - 1), as in the re-release."""

    def __post_init__(self) -> None:
        for name in ("input_size", "classes", "class_features", "predictions"):
            if getattr(self, name) < 1:
                raise ConfigError(f"network {name} must be at least 1, got {getattr(self, name)}")
        longest = longest_receptive_field(self.chunk_frames)
        if not 2 <= self.receptive_field_frames <= longest:
            raise ConfigError(
                f"receptive field r must have 2 to {longest} frames, shorter than the chunk "
                f"({self.chunk_frames} frames), got {self.receptive_field_frames}"
            )
        if not 0.0 < self.norm_eps < math.inf or not 0.0 < (self.norm_momentum or 1.0) <= 1.0:
            raise ConfigError(
                "norm_eps must be above 0 and norm_momentum above 0 and at most 1, "
                f"got {self.norm_eps} and {self.norm_momentum}"
            )
        if pooled_frames(self.chunk_frames) < 1:
            raise ConfigError(f"a chunk must have at least 15 frames, got {self.chunk_frames}")

    @property
    def columns(self) -> int:
        """Features per frame before the segmentation module: f features of C classes, class last."""
        return self.classes * self.class_features

    @property
    def kernel_lengths(self) -> tuple[int, ...]:
        """Lengths of the pyramid's kernels in frames: r/7, r/3, r/2 and r."""
        return tuple(math.ceil(self.receptive_field_frames / share) for share in PYRAMID_SHARES)

    @property
    def edge_frames(self) -> int:
        """Number of frames at either end of a chunk that lack part of their context: r/2."""
        return math.ceil(self.receptive_field_frames / 2)


@dataclass(frozen=True, slots=True)
class Predictions:
    """Output of one network, or of a stack of networks (slots first), for a batch of chunks."""

    segmentation: Float[Tensor, "*slots frames batch classes"]
    """Segmentation scores in [0, 1], high just after an action of the class."""
    spotting: Float[Tensor, "*slots batch predictions columns"]
    """Columns of each prediction: confidence, location as a fraction of the chunk, class probabilities."""
