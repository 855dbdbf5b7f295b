"""The trainer: a list of trials trained together on the same chunks. One trial is a list of one."""

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from model.data.chunks import Chunks, load_chunks
from model.data.sampler import ChunkBatch, ChunkSampler
from model.data.store import Store
from model.inference.evaluation import evaluate
from model.losses.complete import chunk_losses
from model.networks.calf import CalfNetwork
from model.precision import Precision, compute_dtype, reduced_precision
from model.training.config import TrainingConfig, TrialConfig
from model.training.seeding import torch_stream

CALIBRATION_CHUNKS = 512
"""Training chunks over which batch statistics are re-estimated before a validation."""


class DivergedError(Exception):
    """A trial's loss is no longer a number."""


@dataclass(frozen=True, slots=True)
class Validation:
    """A trial at a validation point."""

    epoch: int
    """Finished epochs."""
    metrics: dict[str, float]
    """Average-mAP and AP per class in [0, 1], losses, learning rate and speed, by name."""
    duration_s: float
    """Since the validation before: training, calibration and scoring."""


class Slot:
    """One trial in an array: its network and optimiser."""

    def __init__(self, config: TrialConfig, precision: Precision, device: torch.device) -> None:
        """Draw the initial weights from the trial's seed."""
        self.config = config
        self._precision = precision
        self.network = CalfNetwork(config.network, torch_stream(config.seed, "weights")).to(device)
        self._optimizer = torch.optim.Adam(
            self.network.parameters(), lr=config.learning_rate, eps=config.adam_eps, fused=True
        )

    def learning_rate(self, progress: float) -> float:
        """Rate after the share ``progress`` of the training: linear from first to last."""
        first, last = self.config.learning_rate, self.config.final_learning_rate
        return first + (last - first) * progress

    def step(self, chunks: Chunks, learning_rate: float) -> Tensor:
        """Learn from one batch; returns (segmentation loss, spotting loss)."""
        self.network.train()
        with reduced_precision(chunks.features.device, self._precision):
            predictions = self.network(chunks.features)
        losses = chunk_losses(
            predictions, chunks, self.config.loss, edge_frames=self.config.network.edge_frames
        )
        self._optimizer.zero_grad(set_to_none=True)
        losses.total(self.config.loss.lambda_seg).backward()  # type: ignore[no-untyped-call]
        for group in self._optimizer.param_groups:
            group["lr"] = learning_rate
        self._optimizer.step()
        return torch.stack([losses.segmentation.detach(), losses.spotting.detach()])

    @torch.no_grad()
    def calibrate(self, batches: Iterator[Chunks]) -> None:
        """Set the running statistics of the normalisation to those of ``batches``, unless it follows."""
        if self.network.norm.momentum is not None:
            return
        self.network.train()
        self.network.norm.begin_estimate()
        for chunks in batches:
            with reduced_precision(chunks.features.device, self._precision):
                self.network.norm(self.network.temporal_cnn(chunks.features).float())
        self.network.norm.end_estimate()

    def state(self) -> dict[str, Any]:
        """Weights and optimiser, for a checkpoint."""
        return {"network": self.network.state_dict(), "optimizer": self._optimizer.state_dict()}

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on from what ``state`` returned."""
        self.network.load_state_dict(state["network"])
        self._optimizer.load_state_dict(state["optimizer"])


class TrainingArray:
    """Trains its trials epoch by epoch on the same chunks and scores them at validation points."""

    def __init__(
        self,
        trials: Sequence[TrialConfig],
        training: TrainingConfig,
        *,
        train: Store,
        valid: Store,
        device: torch.device,
        epoch: int = 0,
    ) -> None:
        """Set up the trials after ``epoch`` finished epochs; load their states to resume."""
        self._training, self._train, self._valid, self._device = training, train, valid, device
        self._sampler = ChunkSampler(train, training.sampler, training.data_seed)
        self.slots = [Slot(trial, training.precision, device) for trial in trials]
        self.epoch = epoch

    def advance(self) -> list[Validation]:
        """Train to the next validation point and score every trial there.

        Raises:
            DivergedError: A loss is infinite or not a number.
        """
        started, chunks = time.perf_counter(), 0
        stop = self._training.next_validation(self.epoch)
        while self.epoch < stop:
            losses = self._train_epoch()
            chunks += self._sampler.chunks_per_epoch
        speed = chunks / (time.perf_counter() - started)
        metrics = [self._validate(slot, losses[index], speed) for index, slot in enumerate(self.slots)]
        duration_s = time.perf_counter() - started
        return [Validation(self.epoch, values, duration_s) for values in metrics]

    def _train_epoch(self) -> list[Tensor]:
        """Run one epoch; returns the mean (segmentation, spotting) losses of every trial."""
        batches = self._sampler.epoch(self.epoch)
        sums = [torch.zeros(2, device=self._device) for _ in self.slots]
        for number, batch in enumerate(batches):
            chunks = self._load(batch)
            progress = (self.epoch + number / len(batches)) / self._training.epochs
            for index, slot in enumerate(self.slots):
                sums[index] += slot.step(chunks, slot.learning_rate(progress)) * len(batch)
        self.epoch += 1
        self._train.release()
        means = [total / sum(len(batch) for batch in batches) for total in sums]
        for mean in means:
            if not bool(mean.isfinite().all()):
                raise DivergedError(f"training loss is {mean.tolist()} after epoch {self.epoch}")
        return means

    def _validate(self, slot: Slot, losses: Tensor, speed: float) -> dict[str, float]:
        slot.calibrate(self._calibration())
        evaluation = evaluate(
            slot.network,
            self._valid,
            slot.config.loss,
            precision=self._training.precision,
            device=self._device,
            nms_window_s=self._training.nms_window_s,
        )
        per_class = zip(self._valid.classes, evaluation.score.per_class, strict=True)
        segmentation, spotting = losses.tolist()
        metrics = {
            "average_map": evaluation.score.average_map,
            **{f"ap/{name}": value for name, value in per_class},
            "valid/segmentation_loss": evaluation.segmentation_loss,
            "valid/spotting_loss": evaluation.spotting_loss,
            "train/segmentation_loss": segmentation,
            "train/spotting_loss": spotting,
            "learning_rate": slot.learning_rate(self.epoch / self._training.epochs),
            "chunks_per_s": speed,
        }
        if not all(math.isfinite(value) for value in metrics.values()):
            raise DivergedError(f"validation after epoch {self.epoch} gives values that are not finite")
        return metrics

    def _calibration(self) -> Iterator[Chunks]:
        """Training chunks of the epoch that comes next: enough for stable statistics."""
        seen = 0
        for batch in self._sampler.epoch(self.epoch):
            yield self._load(batch)
            seen += len(batch)
            if seen >= CALIBRATION_CHUNKS:
                return

    def _load(self, batch: ChunkBatch) -> Chunks:
        return load_chunks(
            self._train,
            batch,
            self._training.sampler.chunk_frames,
            device=self._device,
            dtype=compute_dtype(self._training.precision),
        )
