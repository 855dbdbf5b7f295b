"""Roofline of a training step: its operations and bytes, and the device's peak rate of both."""

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
from model.data.stores.store import Store
from model.precision import compute_dtype, computing
from model.training.config import TrainingConfig, TrialConfig
from model.training.slot import Slot
from model.training.training_stack import TrainingStack

ROWS = 2048
"""Rows of the square matrices whose product is timed, enough for the peak rate of every device."""
COPIED = 2**26
"""Size of the tensor whose copy is timed, in numbers; larger than any cache."""
REPEATS = 8


@dataclass(frozen=True, slots=True)
class Work:
    """Work of a training step, or the work that a device can do per second."""

    operations: float
    """Number of operations of matrix products."""
    bytes: float
    """Bytes read and written by all operations, as if there were no cache."""


def work_per_chunk(
    trials: Sequence[TrialConfig], training: TrainingConfig, train: Store, device: torch.device
) -> Work:
    """Measure the work of a training step per chunk and trial, averaged over the trials."""
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
    """Measure the peak: operations per second of a large product, bytes per second of a large copy."""
    matrix = torch.randn(ROWS, ROWS, device=device).to(compute_dtype(training.precision))
    source = torch.zeros(COPIED, device=device)
    target = torch.empty_like(source)
    with computing(training.precision, device):
        product_s = _seconds(lambda: matrix @ matrix)
    return Work(
        2.0 * ROWS**3 / product_s,
        2.0 * source.nbytes / _seconds(lambda: target.copy_(source)),
    )


def count_operations() -> FlopCounterMode:
    """Return a context that counts the operations of matrix products, including those in place."""
    return FlopCounterMode(display=False, custom_mapping={torch.ops.aten.baddbmm_: _products})


class CountedBytes(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Context that counts the bytes its operations read and write; views count as zero."""

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
