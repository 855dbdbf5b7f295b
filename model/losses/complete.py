"""The complete loss of a batch of chunks, equation (11)."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from model.data.chunks import Chunks
from model.encoding import Zones, spotting_targets, time_shift
from model.errors import ConfigError
from model.losses.segmentation import SegmentationForm, segmentation_loss_elements
from model.losses.spotting import Matching, spotting_loss
from model.networks.calf import Predictions


@dataclass(frozen=True, slots=True, kw_only=True)
class LossConfig:
    """Weights and margins of the losses. Defaults are the paper's optimum on ResNet features."""

    zones: Zones
    """K1..K4 of every class, in frames."""
    alpha2: float = 5.0
    """Weight of the location error in equation (10)."""
    beta: float = 0.5
    """Weight of unmatched predictions in equation (10)."""
    lambda_seg: float = 1.5
    """Weight of the segmentation loss in equation (11)."""
    tau_max: float = 0.9
    """Margin of equation (7)."""
    tau_min: float = 0.1
    """Margin of equation (8)."""
    form: SegmentationForm = "paper"
    """Of equations (4) and (5)."""
    matching: Matching = "one-to-one"
    """Algorithm 1, or none for the ablation of Table 2."""

    def __post_init__(self) -> None:
        for name in ("alpha2", "beta", "lambda_seg"):
            if not 0.0 <= getattr(self, name) < float("inf"):
                raise ConfigError(f"{name} must be a number of at least 0, got {getattr(self, name)}")
        if not 0.0 <= self.tau_min < self.tau_max <= 1.0:
            raise ConfigError(
                f"margins must satisfy 0 <= tau_min < tau_max <= 1, got {self.tau_min} and {self.tau_max}"
            )


@dataclass(frozen=True, slots=True)
class ChunkLosses:
    """Losses of a batch, each a mean over its chunks, so that a step does not depend on the batch size."""

    segmentation: Float[Tensor, ""]
    """L_seg, equation (9)."""
    spotting: Float[Tensor, ""]
    """L_as, equation (10)."""

    def total(self, lambda_seg: float) -> Float[Tensor, ""]:
        """L = L_as + lambda_seg L_seg, equation (11)."""
        return self.spotting + lambda_seg * self.segmentation


def chunk_losses(
    predictions: Predictions, chunks: Chunks, config: LossConfig, *, edge_frames: int
) -> ChunkLosses:
    """Both losses of a batch.

    Frames closer than ``edge_frames`` (r/2) to the ends of a chunk see only part of their context: as in
    both published codes they cost nothing and their actions are not to be spotted.
    """
    counted = chunks.inside.clone()
    counted[:edge_frames] = False
    counted[len(counted) - edge_frames :] = False
    # Laid out for every chunk: operations then run over long rows instead of a few classes at a time.
    zones = config.zones.tensor(chunks.past.device)[:, None].repeat(1, chunks.past.shape[1], 1)
    elements = segmentation_loss_elements(
        predictions.segmentation,
        time_shift(chunks.past, chunks.future, zones),
        zones,
        tau_max=config.tau_max,
        tau_min=config.tau_min,
        form=config.form,
    )
    targets = spotting_targets((chunks.past == 0) & counted[..., None], predictions.spotting.shape[1])
    spotting = spotting_loss(
        predictions.spotting, targets, alpha2=config.alpha2, beta=config.beta, matching=config.matching
    )
    return ChunkLosses(_mean_counted(elements, counted), spotting.mean())


def _mean_counted(
    elements: Float[Tensor, "frames batch classes"], counted: Bool[Tensor, "frames batch"]
) -> Float[Tensor, ""]:
    """Equation (9): frames that do not count are zeros of the mean over all C N_F."""
    return torch.where(counted[..., None], elements, 0.0).mean()
