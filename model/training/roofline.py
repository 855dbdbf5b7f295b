"""What a training step must do, operations and bytes, and how fast the device does either at most."""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

from model.data.chunks import ChunkSource
from model.data.sampler import ChunkSampler
from model.data.store import Store
from model.precision import compute_dtype
from model.training.config import TrainingConfig, TrialConfig
from model.training.slot import Slot
from model.training.training_stack import TrainingStack

ROWS = 2048
"""Of the square matrices whose product is timed: large enough for every device's best rate."""
COPIED = 2**26
"""Numbers of the tensor that is copied: more than any cache holds."""
REPEATS = 8


@dataclass(frozen=True, slots=True)
class Work:
    """Of a training step, or what a device does of it in a second at most."""

    operations: float
    """Of matrix products."""
    bytes: float
    """Read and written by all operations, as if nothing stayed in a cache."""


def work_per_chunk(
    trials: Sequence[TrialConfig], training: TrainingConfig, train: Store, device: torch.device
) -> Work:
    """Work of a training step, a chunk and trial; the mean over the trials."""
    (batch, *_) = ChunkSampler(train, training.sampler, trials[0].data_seed).epoch(0)
    dtype, frames = compute_dtype(training.precision), training.sampler.chunk_frames
    chunks = ChunkSource(train, frames, device=device, dtype=dtype).load([batch])
    operations, moved = 0, 0
    for trial in trials:
        stack = TrainingStack([[Slot(trial)]], device)
        with count_operations() as counter, CountedBytes() as count:
            stack.step(chunks)
        operations += counter.get_total_flops()
        moved += count.total
    share = 1.0 / len(trials) / len(batch)
    return Work(operations * share, moved * share)


def peak(training: TrainingConfig, device: torch.device) -> Work:
    """Operations a second of a large product in the training's format, bytes a second of a large copy."""
    matrix = torch.randn(ROWS, ROWS, device=device).to(compute_dtype(training.precision))
    source = torch.zeros(COPIED, device=device)
    target = torch.empty_like(source)
    return Work(
        2.0 * ROWS**3 / _seconds(lambda: matrix @ matrix),
        2.0 * source.nbytes / _seconds(lambda: target.copy_(source)),
    )


def count_operations() -> FlopCounterMode:
    """Counts the operations of matrix products inside the context; torch leaves out those in place."""
    return FlopCounterMode(display=False, custom_mapping={torch.ops.aten.baddbmm_: _products})


class CountedBytes(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Adds up what the operations inside the context read and write; views move nothing."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.total = 0

    def __torch_dispatch__(
        self,
        function: Callable[..., object],
        types: object,
        args: Sequence[object] = (),
        kwargs: Mapping[str, object] | None = None,
    ) -> object:
        result = function(*args, **(kwargs or {}))
        read = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
        written = [leaf for leaf in tree_leaves(result) if isinstance(leaf, Tensor)]
        stored = {leaf.untyped_storage().data_ptr() for leaf in read}
        is_view = all(leaf.untyped_storage().data_ptr() in stored for leaf in written)
        in_place = getattr(function, "__name__", "").split(".")[0].endswith("_")
        if not is_view or in_place:
            self.total += sum(leaf.nbytes for leaf in [*read, *written])
        return result


def _products(
    output: tuple[int, ...], first: tuple[int, ...], second: tuple[int, ...], **options: object
) -> int:
    return 2 * math.prod(first) * second[-1]


def _seconds(work: Callable[[], Tensor]) -> float:
    """The fastest of a few."""
    times = []
    for _ in range(REPEATS):
        started = time.perf_counter()
        work()[:1].sum().item()
        times.append(time.perf_counter() - started)
    return min(times)
