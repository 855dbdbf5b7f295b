"""Sizes of the network of section 7.2, and what it gives."""

import math
from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from model.errors import ConfigError
from model.networks.layers import pooled_frames

PYRAMID_OUTPUTS = (8, 16, 32, 64)
PYRAMID_SHARES = (7, 3, 2, 1)
"""Kernel lengths are r / share, rounded up as in the published code."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkConfig:
    """Sizes of the network. Defaults are the paper's."""

    input_size: int
    """Dimensions of a frame's feature vector."""
    classes: int
    """C."""
    class_features: int = 16
    """f: features per class and frame before the segmentation module."""
    receptive_field_frames: int = 80
    """r: length of the longest temporal kernel."""
    chunk_frames: int = 240
    """N_F."""
    predictions: int = 5
    """N_pred."""
    norm_eps: float = 1e-3
    """Added to the variance; the value of both published codes, the paper gives none."""
    norm_momentum: float | None = None
    """Share of a new batch in the running statistics, 0.01 in both published codes. None: they are
    estimated anew from training chunks before every validation, so that short trainings are scored fairly."""
    norm_unbiased: bool = False
    """Whether the running variance is divided by one less than the numbers it is of, as in the re-release."""

    def __post_init__(self) -> None:
        for name in ("input_size", "classes", "class_features", "predictions"):
            if getattr(self, name) < 1:
                raise ConfigError(f"network {name} must be at least 1, got {getattr(self, name)}")
        if self.receptive_field_frames < 2 or 2 * self.edge_frames >= self.chunk_frames:
            raise ConfigError(
                f"receptive field r must be at least 2 frames and shorter than the chunk "
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
        """Numbers a frame before the segmentation module: f features of C classes, class last."""
        return self.classes * self.class_features

    @property
    def kernel_lengths(self) -> tuple[int, ...]:
        """Taps of the pyramid's kernels: r/7, r/3, r/2 and r."""
        return tuple(math.ceil(self.receptive_field_frames / share) for share in PYRAMID_SHARES)

    @property
    def edge_frames(self) -> int:
        """Frames at either end of a chunk that miss part of their context: r/2."""
        return math.ceil(self.receptive_field_frames / 2)


@dataclass(frozen=True, slots=True)
class Predictions:
    """What networks say about a batch of chunks; a stack of networks has a dimension of slots in front."""

    segmentation: Float[Tensor, "*slots frames batch classes"]
    """Scores in [0, 1]; high just after an action of the class."""
    spotting: Float[Tensor, "*slots batch predictions columns"]
    """Confidence, location as a fraction of the chunk, class probabilities."""
