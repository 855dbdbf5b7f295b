"""Stack of the trials of an array in training, with one optimiser step for all."""

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor

from model.data.chunks import Chunks
from model.losses.complete import StackLoss
from model.networks.forward import Statistics
from model.networks.stack import Stack
from model.training.slot import Slot
from model.training.table_adam import TableAdam


class TrainingStack:
    """Networks of slots on a device, with gradients and moments.

    The slots do not change before ``write_back``.
    """

    def __init__(
        self, cohorts: Sequence[Sequence[Slot]], device: torch.device, rates: Tensor | None = None
    ) -> None:
        """Copy weights and moments of the slots; slots of one cohort see the same chunks.

        Args:
            cohorts: Slots by cohort.
            device: Device to train on.
            rates: Memory on the device for the learning rates, one number per slot. None: memory of its own.

        Raises:
            ConfigError: Networks or losses cannot be computed together.
        """
        self._slots = [slot for cohort in cohorts for slot in cohort]
        counts = [len(cohort) for cohort in cohorts]
        self._cohort: Int[Tensor, " slots"] | None = None
        if len(counts) > 1:
            numbered = [cohort for cohort, count in enumerate(counts) for _ in range(count)]
            self._cohort = torch.tensor(numbered, device=device)
        self._stack = Stack([slot.network for slot in self._slots], device, counts)
        networks = [slot.config.network for slot in self._slots]
        edges = [network.edge_frames for network in networks]
        self._loss = StackLoss([slot.config.loss for slot in self._slots], edges, device)
        self._network = networks[0]
        self._columns = torch.tensor([network.columns for network in networks], device=device)
        for weight in self._stack.weights.values():
            weight.requires_grad_()
        self.rates = torch.zeros(len(self._slots), device=device) if rates is None else rates
        """Learning rates of the next step, in device memory so that a recorded step can use new values."""
        self.gradients = torch.zeros_like(self._stack.table)
        """Gradients of the last step, in the layout of the weights."""
        self._gradient_of = self._stack.layout.views(self.gradients)
        self._taps = self._stack.layout.taps_mask().to(device)
        eps = [slot.config.adam_eps for slot in self._slots]
        self._adam = TableAdam(self._stack.table.detach(), self.gradients, self.rates, eps)
        self._read_optimiser()

    def read_slots(self) -> None:
        """Copy weights, moments and progress of the slots again, into the same device memory."""
        self._stack.fill([slot.network for slot in self._slots])
        self._read_optimiser()

    def _read_optimiser(self) -> None:
        layout = self._stack.layout
        for index, moment in enumerate(self._adam.moments):
            moment.copy_(layout.table([slot.moments[index] for slot in self._slots]))
        self._adam.set_taken([slot.steps for slot in self._slots])

    def step(self, chunks: Chunks) -> Float[Tensor, "2 slots"]:
        """Train on one batch per cohort; returns segmentation and spotting losses."""
        present = None if chunks.present is None else self._seen(chunks.present).float()
        predictions, statistics = self._stack.forward.learn(chunks.features, present)
        losses = self._loss(predictions, chunks, self._cohort)
        weights = self._stack.weights
        gradients = torch.autograd.grad(self._loss.total(losses), list(weights.values()))
        for name, gradient in zip(weights, gradients, strict=True):
            if name == "pyramid":  # what lies around shorter kernels must stay zero
                torch.mul(gradient, self._taps, out=self._gradient_of[name])
            else:
                self._gradient_of[name].copy_(gradient)
        self._adam.step()
        if self._network.norm_momentum is not None:
            self._follow(statistics, chunks, self._network.norm_momentum)
        return torch.stack([losses.segmentation.detach(), losses.spotting.detach()])

    def gradients_of(self, slot: int) -> dict[str, Tensor]:
        """Return the gradients of one slot's weights in the last step, on the CPU, by the weights' names."""
        return self._stack.layout.read(self.gradients, slot)

    def _seen(self, by_cohort: Tensor) -> Tensor:
        if self._cohort is not None:
            return by_cohort[self._cohort]
        return by_cohort.expand(len(self._slots), *by_cohort.shape[1:])

    @torch.no_grad()
    def _follow(self, statistics: Statistics, chunks: Chunks, share: float) -> None:
        """Move the running values a ``share`` of the way to those of a batch."""
        variance = statistics.variance
        if self._network.norm_unbiased:
            numbers = self._columns * self._chunks_seen(chunks)
            variance = variance * (numbers / (numbers - 1).clamp_min(1))[:, None]
        self._stack.statistics.mean.lerp_(statistics.mean, share)
        self._stack.statistics.variance.lerp_(variance, share)

    def _chunks_seen(self, chunks: Chunks) -> Tensor | int:
        if chunks.present is None:
            return chunks.features.shape[2]
        return self._seen(chunks.present).sum(dim=1)

    def snapshot(self) -> list[Tensor]:
        """Copy all tensors that a step changes."""
        return [tensor.clone() for tensor in self._changing()]

    def restore(self, snapshot: Sequence[Tensor]) -> None:
        """Undo the steps since ``snapshot``."""
        with torch.no_grad():
            for tensor, before in zip(self._changing(), snapshot, strict=True):
                tensor.copy_(before)

    def _changing(self) -> list[Tensor]:
        running = self._stack.statistics
        return [self._stack.table, *self._adam.moments, *self._adam.taken, running.mean, running.variance]

    def write_back(self, epochs: int, steps: int) -> None:
        """Write the state back to the slots, after ``epochs`` more epochs with ``steps`` steps in total."""
        for index, slot in enumerate(self._slots):
            slot.network.load_state_dict(self._stack.read(index))
            slot.moments = [self._stack.layout.read(moment, index) for moment in self._adam.moments]
            slot.epoch += epochs
            slot.steps += steps
