"""Complete loss of a batch of chunks, equation (11), for all networks of a stack at once."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from model.data.chunks import Chunks
from model.encoding import Zones, spotting_targets, time_shift
from model.errors import ConfigError
from model.losses.forms import Matching, SegmentationForm
from model.losses.segmentation import segmentation_loss_elements
from model.losses.spotting import spotting_loss
from model.networks.calf_config import Predictions


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
    """Form of equations (4) and (5); the trials of an array share it."""
    matching: Matching = "one-to-one"
    """Matching of actions and predictions: Algorithm 1, or none for the ablation of Table 2."""

    def __post_init__(self) -> None:
        for name in ("alpha2", "beta", "lambda_seg"):
            if not 0.0 <= getattr(self, name) < float("inf"):
                raise ConfigError(f"{name} must be a finite number of at least 0, got {getattr(self, name)}")
        if not 0.0 <= self.tau_min < self.tau_max <= 1.0:
            raise ConfigError(
                "margins must satisfy 0 <= tau_min < tau_max <= 1, "
                f"got tau_min {self.tau_min} and tau_max {self.tau_max}"
            )


@dataclass(frozen=True, slots=True)
class ChunkLosses:
    """Losses of a batch, averaged over its chunks so that a step does not depend on the batch size."""

    segmentation: Float[Tensor, " slots"]
    """Segmentation loss L_seg, equation (9)."""
    spotting: Float[Tensor, " slots"]
    """Action spotting loss L_as, equation (10)."""


class StackLoss:
    """Losses of the networks of a stack, each with its own weights, margins and zones."""

    def __init__(
        self, configs: Sequence[LossConfig], edge_frames: Sequence[int], device: torch.device
    ) -> None:
        """Prepare the losses of ``configs``.

        Args:
            configs: Loss settings, one per network; all share the same form.
            edge_frames: r/2 of every network. Frames this close to the ends of a chunk see only part of their
                context: as in both published codes, they have no loss and their actions are not targets.
            device: Device of the predictions.

        Raises:
            ConfigError: The settings differ in their form.
        """
        forms = {config.form for config in configs}
        if len(forms) > 1:
            raise ConfigError(f"losses of one stack must share their form, got {', '.join(sorted(forms))}")

        def column(name: str) -> Tensor:
            return torch.tensor([getattr(config, name) for config in configs], device=device)

        self._form: SegmentationForm = configs[0].form
        self._alpha2, self._beta, self._lambda_seg = (
            column(name) for name in ("alpha2", "beta", "lambda_seg")
        )
        self._tau_max, self._tau_min = (column(name)[:, None, None, None] for name in ("tau_max", "tau_min"))
        ordered = [config.matching == "none" for config in configs]
        self._ordered = torch.tensor(ordered, device=device) if any(ordered) else None
        self._edges = torch.tensor(edge_frames, device=device)[:, None]
        zones = torch.stack([config.zones.tensor(device) for config in configs], dim=1)
        self._zones = zones[:, :, None, None]

    def __call__(
        self, predictions: Predictions, chunks: Chunks, cohort: Int[Tensor, " slots"] | None = None
    ) -> ChunkLosses:
        """Compute both losses of a batch.

        Args:
            predictions: Output of the stack.
            chunks: One batch of chunks per cohort.
            cohort: Index of the batch that each network sees; None: all networks see the same batch.
        """

        def seen(values: Tensor) -> Tensor:
            if cohort is not None:
                return values[cohort]
            return values.expand(len(self._alpha2), *values.shape[1:])

        past, future, present = seen(chunks.past), seen(chunks.future), chunks.present
        counted = seen(chunks.inside) & self._inner(past.shape[1])[..., None]
        if present is not None:
            counted = counted & seen(present)[:, None]
        _, frames, batch, _ = past.shape
        chunks_seen = batch if present is None else seen(present).sum(dim=1)
        segmentation = self._segmentation(predictions.segmentation, past, future, counted)
        by_chunk = self._spotting(predictions.spotting, (past == 0) & counted[..., None])
        if present is not None:
            by_chunk = torch.where(seen(present), by_chunk, 0.0)
        classes = past.shape[-1]
        return ChunkLosses(segmentation / (frames * classes * chunks_seen), by_chunk.sum(dim=1) / chunks_seen)

    def total(self, losses: ChunkLosses) -> Float[Tensor, ""]:
        """Compute L = L_as + lambda_seg L_seg, equation (11), summed over the networks.

        The networks share no weights, so the gradient of the sum is that of every network alone.
        """
        return (losses.spotting + self._lambda_seg * losses.segmentation).sum()

    def _inner(self, frames: int) -> Bool[Tensor, "slots frames"]:
        frame = torch.arange(frames, device=self._edges.device)
        return (frame >= self._edges) & (frame < frames - self._edges)

    def _segmentation(
        self, score: Tensor, past: Tensor, future: Tensor, counted: Tensor
    ) -> Float[Tensor, " slots"]:
        """Equation (9), not yet divided: frames that do not count are zeros of the mean over all C N_F."""
        # Laid out for every chunk: operations then run over long rows instead of a few classes at a time.
        zones = self._zones.repeat(1, 1, 1, past.shape[2], 1)
        elements = segmentation_loss_elements(
            score,
            time_shift(past, future, zones),
            zones,
            tau_max=self._tau_max,
            tau_min=self._tau_min,
            form=self._form,
        )
        return torch.where(counted[..., None], elements, 0.0).sum(dim=(1, 2, 3))

    def _spotting(self, predicted: Tensor, is_action: Tensor) -> Float[Tensor, "slots batch"]:
        slots, batch = predicted.shape[:2]
        targets = spotting_targets(is_action.transpose(0, 1).flatten(1, 2), predicted.shape[2])
        alpha2, beta = (weight.repeat_interleave(batch) for weight in (self._alpha2, self._beta))
        ordered = None if self._ordered is None else self._ordered.repeat_interleave(batch)
        loss = spotting_loss(predicted.flatten(0, 1), targets, alpha2=alpha2, beta=beta, ordered=ordered)
        return loss.view(slots, batch)
