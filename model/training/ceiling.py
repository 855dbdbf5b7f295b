"""How many operations a training step has, and how many a second the device could do at most."""

import math
import time
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from model.data.chunks import ChunkSource
from model.data.sampler import ChunkSampler
from model.data.store import Store
from model.precision import compute_dtype
from model.training.config import TrainingConfig, TrialConfig
from model.training.slots import Slot
from model.training.stack import TrainingStack

ROWS = 2048
"""Of the square matrices whose product is timed: large enough for every device's best rate."""
REPEATS = 8


def operations_per_chunk(
    trials: Sequence[TrialConfig], training: TrainingConfig, train: Store, device: torch.device
) -> float:
    """Operations of the matrix products of a training step, a chunk and trial; the mean over the trials."""
    (batch, *_) = ChunkSampler(train, training.sampler, trials[0].data_seed).epoch(0)
    dtype, frames = compute_dtype(training.precision), training.sampler.chunk_frames
    chunks = ChunkSource(train, frames, device=device, dtype=dtype).load([batch])
    total = 0
    for trial in trials:
        stack = TrainingStack([[Slot(trial)]], device)
        with counting() as counter:
            stack.step(chunks)
        total += counter.get_total_flops()
    return total / len(trials) / len(batch)


def counting() -> FlopCounterMode:
    """Counts the operations of matrix products inside the context; torch leaves out those in place."""
    return FlopCounterMode(display=False, custom_mapping={torch.ops.aten.baddbmm_: _products})


def _products(
    output: tuple[int, ...], first: tuple[int, ...], second: tuple[int, ...], **options: object
) -> int:
    return 2 * math.prod(first) * second[-1]


def peak_operations_per_s(training: TrainingConfig, device: torch.device) -> float:
    """Operations a second of a large matrix product in the training's number format; the best of a few."""
    matrix = torch.randn(ROWS, ROWS, device=device).to(compute_dtype(training.precision))
    seconds = [_product_s(matrix) for _ in range(REPEATS)]
    return 2.0 * ROWS**3 / min(seconds)


def _product_s(matrix: Tensor) -> float:
    started = time.perf_counter()
    (matrix @ matrix).sum().item()
    return time.perf_counter() - started
