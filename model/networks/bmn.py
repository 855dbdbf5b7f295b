"""Boundary-matching network (Lin et al., ICCV 2019), as section 4.2 uses it on ActivityNet."""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from model.errors import ConfigError
from model.networks.boundary_matching import BoundaryMatching, Sampling, at_least_single, pair_index
from model.networks.groups import GROUPS


@dataclass(frozen=True, slots=True, kw_only=True)
class BmnConfig:
    """Sizes of the network. Defaults are the published ones for ActivityNet."""

    input_size: int = 400
    """Length of the feature vector of a position; a multiple of 4."""
    positions: int = 100
    """Number of temporal positions per video (T)."""
    longest: int | None = None
    """Length of the longest proposal in positions (D); None: T, as published."""
    bins: int = 32
    """Number of bins that a proposal is sampled into (N)."""
    points_per_bin: int = 3
    """Number of interpolated points averaged into one bin."""
    boundary_ratio: float = 0.5
    """Extension of a proposal beyond either end for sampling, as a fraction of its length plus one."""
    hidden_1d: int = 256
    """Hidden features per position."""
    hidden_2d: int = 128
    """Hidden features per pair in the convolutions over the map."""
    hidden_3d: int = 512
    """Hidden features per pair after the reduction of its bins."""

    def __post_init__(self) -> None:
        for name in ("input_size", "positions", "hidden_1d", "hidden_2d", "hidden_3d"):
            if getattr(self, name) < 1:
                raise ConfigError(f"BMN {name} must be at least 1, got {getattr(self, name)}")
        for name in ("input_size", "hidden_1d"):
            if getattr(self, name) % GROUPS:
                raise ConfigError(f"BMN {name} must be a multiple of {GROUPS}, got {getattr(self, name)}")
        if not 1 <= self.max_positions <= self.positions:
            raise ConfigError(
                f"BMN longest must lie between 1 and positions ({self.positions}), got {self.longest}"
            )
        _ = self.sampling  # refuses settings with which no proposal can be sampled

    @property
    def sampling(self) -> Sampling:
        """Settings with which a proposal is sampled."""
        return Sampling(self.bins, self.points_per_bin, self.boundary_ratio)

    @property
    def max_positions(self) -> int:
        """Length of the longest proposal in positions (D), as a number."""
        return self.positions if self.longest is None else self.longest


@dataclass(frozen=True, slots=True)
class BoundaryPredictions:
    """Output of the network for a batch of videos; all scores lie in [0, 1]."""

    start: Float[Tensor, "batch positions"]
    """Score that an activity starts at a position."""
    end: Float[Tensor, "batch positions"]
    """Score that an activity ends at a position."""
    overlap: Float[Tensor, "batch starts ends"]
    """Predicted IoU of [start, end + 1] with the nearest activity (PEM regression).

    Entries with end < start have no meaning.
    """
    confidence: Float[Tensor, "batch starts ends"]
    """Score that [start, end + 1] is an activity (PEM classification)."""


def _conv1d(inputs: int, outputs: int, *, groups: int = 1, kernel: int = 3) -> nn.Conv1d:
    return nn.Conv1d(inputs, outputs, kernel, padding=kernel // 2, groups=groups)


class BoundaryMatchingNetwork(nn.Module):
    """Boundary-matching network: base module, temporal (TEM) and proposal evaluation module (PEM)."""

    pairs: Tensor

    def __init__(self, config: BmnConfig, generator: torch.Generator) -> None:
        """Draw the weights from ``generator``: uniform within 1 / sqrt(inputs), as in the published code."""
        super().__init__()
        one, two, three = config.hidden_1d, config.hidden_2d, config.hidden_3d
        self.config = config
        self.base = nn.Sequential(
            _conv1d(config.input_size, one, groups=GROUPS),
            nn.ReLU(),
            _conv1d(one, one, groups=GROUPS),
            nn.ReLU(),
        )
        self.start, self.end = self._boundary_head(), self._boundary_head()
        self.proposal = nn.Sequential(_conv1d(one, one), nn.ReLU())
        size = (config.positions, config.max_positions, config.sampling)
        self.matching = BoundaryMatching(*size, one, three, generator)
        self.reduce = nn.Linear(three, two)
        self.map = nn.Sequential(
            *(nn.Conv2d(two, two, 3, padding=1), nn.ReLU(), nn.Conv2d(two, two, 3, padding=1), nn.ReLU()),
            *(nn.Conv2d(two, 2, 1), nn.Sigmoid()),
        )
        self.register_buffer("pairs", pair_index(config.positions, config.max_positions), persistent=False)
        self._draw_weights(generator)

    @torch.no_grad()
    def _draw_weights(self, generator: torch.Generator) -> None:
        for layer in self.modules():
            if isinstance(layer, nn.Conv1d | nn.Conv2d | nn.Linear):
                bound = 1.0 / math.sqrt(layer.weight[0].numel())
                for parameter in layer.parameters():
                    parameter.uniform_(-bound, bound, generator=generator)

    def _boundary_head(self) -> nn.Sequential:
        one = self.config.hidden_1d
        layers = (_conv1d(one, one, groups=GROUPS), nn.ReLU(), _conv1d(one, 1, kernel=1), nn.Sigmoid())
        return nn.Sequential(*layers, nn.Flatten(-2))

    def forward(self, features: Float[Tensor, "batch dimensions positions"]) -> BoundaryPredictions:
        """Predict boundaries and the two maps from the features of whole videos."""
        base = self.base(features)
        overlap, confidence = self.map(self._pair_features(self.proposal(base))).unbind(1)
        return BoundaryPredictions(
            *map(at_least_single, (self.start(base), self.end(base), overlap, confidence))
        )

    def _pair_features(self, features: Tensor) -> Float[Tensor, "batch hidden starts ends"]:
        # Pairs that are none see no features at all: the published code computes the same number for each.
        reduced = functional.relu(self.reduce(functional.relu(self.matching(features), inplace=True)))
        nothing = functional.relu(self.reduce(functional.relu(self.matching.bias))).to(reduced.dtype)
        batch, _, hidden = reduced.shape
        size = self.config.positions
        full = nothing.expand(batch, size * size, hidden).index_copy(1, self.pairs, reduced)
        # Channels lie last in memory: the convolutions over the map take a third of the time so.
        return full.view(batch, size, size, hidden).permute(0, 3, 1, 2)
