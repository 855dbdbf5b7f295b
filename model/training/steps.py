"""Training steps of an array, in the fastest way for its device: one by one on a CPU, recorded on a GPU."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from model.data.chunks import ChunkSource, chunk_places
from model.data.sampler import ChunkBatch
from model.memory import keep_freed_memory
from model.training.recorder import Recorder
from model.training.slot import Slot
from model.training.stack_groups import group_by_width
from model.training.training_stack import TrainingStack

BUCKET = 4
"""Number of chunks to whose multiples batches are padded on a GPU; each size has one recording."""


def padded_size(chunks: int) -> int:
    """Return the number of chunks to which a batch of ``chunks`` is padded on a GPU."""
    return -(-chunks // BUCKET) * BUCKET


class Steps(ABC):
    """Training steps of slots; the slots do not change before ``write_back``."""

    def __init__(self, cohorts: Sequence[Sequence[Slot]], source: ChunkSource, device: torch.device) -> None:
        """Copy the weights of the slots; slots of one cohort see the same chunks."""
        self._source, self._device = source, device
        self._cohort_of = [cohort for cohort, slots in enumerate(cohorts) for _ in slots]

    def epoch(
        self, plans: Sequence[Sequence[ChunkBatch]], rates: Sequence[Sequence[float]]
    ) -> Float[Tensor, "2 slots"]:
        """Train on all batches of an epoch.

        Args:
            plans: Batches of every cohort, in order; all cohorts have the same number of batches.
            rates: Learning rates, one row per step and one number per slot.

        Returns:
            Segmentation and spotting losses of every slot, averaged over the epoch's chunks.
        """
        steps = list(zip(*plans, strict=True))
        sizes = [[len(batches[cohort]) for cohort in self._cohort_of] for batches in steps]
        chunks = torch.tensor(sizes, dtype=torch.float64, device=self._device)
        sums = torch.zeros(2, len(self._cohort_of), dtype=torch.float64, device=self._device)
        for seen, losses in zip(chunks, self.take(steps, rates), strict=True):
            sums += losses * seen
        return sums / chunks.sum(dim=0)

    @abstractmethod
    def take(
        self, steps: Sequence[Sequence[ChunkBatch]], rates: Sequence[Sequence[float]]
    ) -> Iterator[Float[Tensor, "2 slots"]]:
        """Take the steps, each with one batch per cohort; yields the losses of each step.

        On a GPU, everything that waits for the device is done before the first step is yielded.
        """

    @abstractmethod
    def read_slots(self) -> None:
        """Copy the state of the slots again, which may have changed since ``write_back``."""

    @abstractmethod
    def write_back(self, epochs: int, steps: int) -> None:
        """Write the state back to the slots, after ``epochs`` more epochs with ``steps`` steps in total."""


def make_steps(
    cohorts: Sequence[Sequence[Slot]], source: ChunkSource, device: torch.device, recorder: Recorder
) -> Steps:
    """Create the training steps of slots on ``device``; slots of one cohort see the same chunks.

    Raises:
        ConfigError: Networks or losses cannot be computed together.
    """
    if device.type == "cuda":
        return RecordedSteps(cohorts, source, device, recorder)
    return SeparateSteps(cohorts, source, device)


class SeparateSteps(Steps):
    """Training steps of every slot alone, from chunks read once per cohort (see ``group_for_device``)."""

    def __init__(self, cohorts: Sequence[Sequence[Slot]], source: ChunkSource, device: torch.device) -> None:
        """Copy the weights of the slots; see ``Steps``."""
        super().__init__(cohorts, source, device)
        keep_freed_memory()
        self._cohorts = [[TrainingStack([[slot]], device) for slot in cohort] for cohort in cohorts]
        self._stacks = [stack for stacks in self._cohorts for stack in stacks]

    def take(
        self, steps: Sequence[Sequence[ChunkBatch]], rates: Sequence[Sequence[float]]
    ) -> Iterator[Float[Tensor, "2 slots"]]:
        """Take the steps; see ``Steps.take``."""
        for batches, row in zip(steps, rates, strict=True):
            losses, left = [], iter(row)
            for batch, stacks in zip(batches, self._cohorts, strict=True):
                chunks = self._source.load([batch])
                for stack in stacks:
                    stack.rates.fill_(next(left))
                    losses.append(stack.step(chunks))
            yield torch.cat(losses, dim=1)

    def read_slots(self) -> None:
        """Copy the state of the slots again; see ``Steps.read_slots``."""
        for stack in self._stacks:
            stack.read_slots()

    def write_back(self, epochs: int, steps: int) -> None:
        """Write the state back to the slots; see ``Steps.write_back``."""
        for stack in self._stacks:
            stack.write_back(epochs, steps)


class RecordedSteps(Steps):
    """Training steps of all slots together, recorded as one CUDA graph per batch size.

    Slots with similar f are one stack (see ``group_by_width``). A graph contains the reading of chunks,
    forward, backward and optimiser of all stacks. The networks are small: without the graph, a GPU waits for
    the host to launch hundreds of kernels per step. The inputs of all steps are on the device before an epoch
    begins; a step itself is two small copies and one launch.
    """

    def __init__(
        self,
        cohorts: Sequence[Sequence[Slot]],
        source: ChunkSource,
        device: torch.device,
        recorder: Recorder,
    ) -> None:
        """Copy the weights of the slots; ``recorder`` records a step when its batch size first occurs."""
        super().__init__(cohorts, source, device)
        self._recorder = recorder
        self._recordings: dict[int, _Recording] = {}
        slots = [slot for cohort in cohorts for slot in cohort]
        groups = group_by_width([slot.config.network.columns for slot in slots])
        order = [index for group in groups for index in group]
        self._order, self._place_of = torch.tensor(order), torch.tensor(order, device=device).argsort()
        self._rates = torch.zeros(len(slots), device=device)
        self._parts: list[tuple[TrainingStack, Tensor | None]] = []
        for group, rates in zip(groups, torch.split(self._rates, list(map(len, groups))), strict=True):
            seen = sorted({self._cohort_of[index] for index in group})
            by_cohort = [[slots[index] for index in group if self._cohort_of[index] == each] for each in seen]
            chosen = None if len(seen) == len(cohorts) else torch.tensor(seen, device=device)
            self._parts.append((TrainingStack(by_cohort, device, rates), chosen))

    def take(
        self, steps: Sequence[Sequence[ChunkBatch]], rates: Sequence[Sequence[float]]
    ) -> Iterator[Float[Tensor, "2 slots"]]:
        """Take the steps; see ``Steps.take``."""
        sizes = [padded_size(max(map(len, batches))) for batches in steps]
        largest = max(sizes)
        places = torch.stack([chunk_places(batches, largest) for batches in steps])
        places, all_rates = places.to(self._device), torch.tensor(rates)[:, self._order].to(self._device)
        if self._source.is_resident:
            self._record_missing(dict(zip(sizes, places, strict=True)))
        for size, place, row in zip(sizes, places, all_rates, strict=True):
            self._rates.copy_(row)
            recording = self._recordings.get(size)
            yield recording.replay(place[..., :size]) if recording else self._learn(place[..., :size])

    def read_slots(self) -> None:
        """Copy the state of the slots again; see ``Steps.read_slots``."""
        for stack, _ in self._parts:
            stack.read_slots()

    def write_back(self, epochs: int, steps: int) -> None:
        """Write the state back to the slots; see ``Steps.write_back``."""
        for stack, _ in self._parts:
            stack.write_back(epochs, steps)

    def _record_missing(self, place_of: Mapping[int, Int[Tensor, "3 cohorts batch"]]) -> None:
        """Record steps of the sizes that have no recording; the largest first (see ``Recorder``)."""
        for size in sorted(place_of.keys() - self._recordings.keys(), reverse=True):
            if self._recorder.works and (found := self._record(place_of[size][..., :size])):
                self._recordings[size] = found

    def _record(self, place: Int[Tensor, "3 cohorts batch"]) -> "_Recording | None":
        read, before = place.clone(), [stack.snapshot() for stack, _ in self._parts]
        recorded = self._recorder.record(lambda: self._learn(read))
        for (stack, _), state in zip(self._parts, before, strict=True):
            stack.restore(state)
        return _Recording(recorded[0], read, recorded[1]) if recorded else None

    def _learn(self, place: Int[Tensor, "3 cohorts batch"]) -> Float[Tensor, "2 slots"]:
        chunks = self._source.cut(place, padded=True)
        losses = [stack.step(chunks if seen is None else chunks.of(seen)) for stack, seen in self._parts]
        # One group keeps the order of the slots.
        return losses[0] if len(losses) == 1 else torch.cat(losses, dim=1).index_select(1, self._place_of)


@dataclass(frozen=True, slots=True)
class _Recording:
    """Recorded step, with the tensors that it reads and writes."""

    repeat: Callable[[], None]
    place: Int[Tensor, "3 cohorts batch"]
    losses: Float[Tensor, "2 slots"]

    def replay(self, place: Int[Tensor, "3 cohorts batch"]) -> Float[Tensor, "2 slots"]:
        """Take the step on the chunks at ``place``; the next replay overwrites the returned losses."""
        self.place.copy_(place)
        self.repeat()
        return self.losses
