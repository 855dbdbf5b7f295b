"""Steps of an array as a device takes them fastest: trial by trial on a processor, recorded on a GPU."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor

from model.data.chunks import ChunkSource
from model.data.sampler import ChunkBatch
from model.training.slots import Slot
from model.training.stack import TrainingStack

BUCKET = 4
"""On a GPU batches are padded to a multiple of so many chunks: there is one recording for each size."""
WARM_UPS = 2
"""Steps before a recording: libraries set themselves up in the first."""


class Steps(ABC):
    """Trains slots step by step; nothing of the slots changes before ``unload``."""

    @abstractmethod
    def take(self, batches: Sequence[ChunkBatch], rates: Sequence[float]) -> Float[Tensor, "2 slots"]:
        """Learn from one batch a cohort; returns segmentation and spotting losses of every slot."""

    @abstractmethod
    def unload(self, epochs: int, steps: int) -> None:
        """Give the slots what they are after ``epochs`` more epochs of ``steps`` steps together."""


def steps_of(cohorts: Sequence[Sequence[Slot]], source: ChunkSource, device: torch.device) -> Steps:
    """Steps of slots on ``device``; those of one cohort see the same chunks.

    Raises:
        ConfigError: Networks or losses cannot be computed together.
    """
    kind = RecordedSteps if device.type == "cuda" else SeparateSteps
    return kind(cohorts, source, device)


class SeparateSteps(Steps):
    """Every slot by itself, from chunks that are read once a cohort (see ``computed_together``)."""

    def __init__(self, cohorts: Sequence[Sequence[Slot]], source: ChunkSource, device: torch.device) -> None:
        """Take the numbers of the slots."""
        self._source = source
        self._cohorts = [[TrainingStack([[slot]], device) for slot in cohort] for cohort in cohorts]

    def take(self, batches: Sequence[ChunkBatch], rates: Sequence[float]) -> Float[Tensor, "2 slots"]:
        """See ``Steps``."""
        losses, left = [], iter(rates)
        for batch, stacks in zip(batches, self._cohorts, strict=True):
            chunks = self._source.load([batch])
            for stack in stacks:
                stack.set_rates([next(left)])
                losses.append(stack.step(chunks))
        return torch.cat(losses, dim=1)

    def unload(self, epochs: int, steps: int) -> None:
        """See ``Steps``."""
        for stack in (stack for stacks in self._cohorts for stack in stacks):
            stack.unload(epochs, steps)


class RecordedSteps(Steps):
    """All slots as one stack, and gathering, forward, backward and optimiser as one CUDA graph a batch size.

    The network is tiny: without it, a GPU waits for the host to launch some hundred kernels a step.
    """

    def __init__(self, cohorts: Sequence[Sequence[Slot]], source: ChunkSource, device: torch.device) -> None:
        """Take the numbers of the slots; steps are recorded as their sizes come up."""
        self._stack, self._source = TrainingStack(cohorts, device), source
        self._recordings: dict[int, tuple[torch.cuda.CUDAGraph, Tensor, Tensor]] = {}

    def take(self, batches: Sequence[ChunkBatch], rates: Sequence[float]) -> Float[Tensor, "2 slots"]:
        """See ``Steps``."""
        self._stack.set_rates(rates)
        size = -(-max(len(batch) for batch in batches) // BUCKET) * BUCKET
        place, _ = self._source.place(batches, size)
        if size not in self._recordings:
            self._recordings[size] = self._record(place)
        graph, read, losses = self._recordings[size]
        read.copy_(place)
        graph.replay()
        return losses.clone()

    def unload(self, epochs: int, steps: int) -> None:
        """See ``Steps``."""
        self._stack.unload(epochs, steps)

    def _record(self, place: Int[Tensor, "3 cohorts batch"]) -> tuple[torch.cuda.CUDAGraph, Tensor, Tensor]:
        read = place.clone()
        before = self._stack.snapshot()
        aside = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        aside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(aside):
            for _ in range(WARM_UPS):
                self._step(read)
        torch.cuda.current_stream().wait_stream(aside)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            losses = self._step(read)
        self._stack.restore(before)
        return graph, read, losses

    def _step(self, place: Tensor) -> Tensor:
        return self._stack.step(self._source.cut(place, padded=True))
