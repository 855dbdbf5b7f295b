"""The network of section 7.2: temporal CNN, segmentation module and spotting module.

Tensors are time-first, (frames, batch, channels): every convolution is then a product of matrices that lie
one after the other in memory, and the batch normalisation of one frame position is a row.
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from model.errors import ConfigError
from model.networks.layers import FrameNorm, ShortConvolution, max_pool, pooled_frames
from model.networks.spectral import convolve

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
    def kernel_lengths(self) -> tuple[int, ...]:
        """Taps of the pyramid's kernels: r/7, r/3, r/2 and r."""
        return tuple(math.ceil(self.receptive_field_frames / share) for share in PYRAMID_SHARES)

    @property
    def edge_frames(self) -> int:
        """Frames at either end of a chunk that miss part of their context: r/2."""
        return math.ceil(self.receptive_field_frames / 2)


@dataclass(frozen=True, slots=True)
class Predictions:
    """What the network says about a batch of chunks."""

    segmentation: Float[Tensor, "frames batch classes"]
    """Scores in [0, 1]; high just after an action of the class."""
    spotting: Float[Tensor, "batch predictions columns"]
    """Confidence, location as a fraction of the chunk, class probabilities."""


class CalfNetwork(nn.Module):
    """Segmentation scores and spots of chunks of frame features (section 7.2)."""

    def __init__(self, config: NetworkConfig, generator: torch.Generator) -> None:
        """Draw initial weights from ``generator``: Glorot uniform, zero biases, as the original code."""
        super().__init__()
        self.config = config
        self.mlp_1 = nn.Linear(config.input_size, 128)
        self.mlp_2 = nn.Linear(128, 32)
        self.pyramid = nn.ParameterList(
            torch.empty(taps, 32, outputs)
            for taps, outputs in zip(config.kernel_lengths, PYRAMID_OUTPUTS, strict=True)
        )
        self.pyramid_bias = nn.Parameter(torch.zeros(sum(PYRAMID_OUTPUTS)))
        columns = config.classes * config.class_features
        self.class_features = ShortConvolution(32 + sum(PYRAMID_OUTPUTS), columns)
        self.norm = FrameNorm(
            config.chunk_frames,
            eps=config.norm_eps,
            momentum=config.norm_momentum,
            unbiased=config.norm_unbiased,
        )
        self.spot_1 = ShortConvolution(columns + config.classes, 32)
        self.spot_2 = ShortConvolution(32, 16)
        flat = 16 * pooled_frames(config.chunk_frames)
        self.place = nn.Linear(flat, 2 * config.predictions)
        self.classify = nn.Linear(flat, config.classes * config.predictions)
        self._draw_weights(generator)

    @torch.no_grad()
    def _draw_weights(self, generator: torch.Generator) -> None:
        for weight in self.parameters():
            if weight.dim() == 2:
                fan_out, fan_in = weight.shape
            elif weight.dim() == 3:
                fan_in, fan_out = weight.shape[0] * weight.shape[1], weight.shape[0] * weight.shape[2]
            else:
                continue
            bound = math.sqrt(6.0 / (fan_in + fan_out))
            weight.uniform_(-bound, bound, generator=generator)
        for layer in (self.mlp_1, self.mlp_2, self.place, self.classify):
            layer.bias.zero_()

    def forward(self, features: Float[Tensor, "frames batch dims"]) -> Predictions:
        """Predict for chunks of N_F frames."""
        class_features = self.temporal_cnn(features)
        segmentation = self.segment(class_features)
        return Predictions(segmentation, self.spot(class_features, segmentation))

    def temporal_cnn(
        self, features: Float[Tensor, "frames batch dims"]
    ) -> Float[Tensor, "frames batch columns"]:
        """Two-layer MLP, pyramid and last convolution; columns are f features of C classes, class last."""
        hidden = functional.relu(self.mlp_2(functional.relu(self.mlp_1(features))))
        pyramid = functional.relu(convolve(hidden, list(self.pyramid), self.pyramid_bias))
        columns: Tensor = self.class_features(torch.cat([hidden, pyramid], dim=-1))
        return columns

    def segment(
        self, class_features: Float[Tensor, "frames batch columns"]
    ) -> Float[Tensor, "frames batch classes"]:
        """Score 1 - 2 d / sqrt(f), d the distance of a class's activations from the cube's centre."""
        frames, batch, _ = class_features.shape
        active = torch.sigmoid(self.norm(class_features.float()))
        centred = active.view(frames, batch, self.config.class_features, self.config.classes) - 0.5
        # At the centre itself the root has no slope: the floor keeps the gradient finite.
        distance = centred.square().sum(dim=2).clamp_min(1e-12).sqrt()
        score = 1.0 - distance * (2.0 / math.sqrt(self.config.class_features))
        return score.clamp_min(0.0)  # rounding: a corner of the cube may come out 1e-7 too far

    def spot(
        self,
        class_features: Float[Tensor, "frames batch columns"],
        segmentation: Float[Tensor, "frames batch classes"],
    ) -> Float[Tensor, "batch predictions values"]:
        """Spotting module: three poolings, two convolutions and the two output layers."""
        # ReLU and max-pooling commute: pooled first, there is half as much to join and to rectify.
        pooled = [max_pool(class_features), max_pool(segmentation).to(class_features.dtype)]
        signal = functional.relu(torch.cat(pooled, dim=-1))
        signal = functional.relu(max_pool(self.spot_1(signal)))
        signal = functional.relu(max_pool(self.spot_2(signal)))
        flat = signal.permute(1, 2, 0).flatten(1)
        place = torch.sigmoid(self.place(flat).float()).view(len(flat), self.config.predictions, 2)
        classes = self.classify(flat).float().view(len(flat), self.config.predictions, -1)
        return torch.cat([place, torch.softmax(classes, dim=-1)], dim=-1)
