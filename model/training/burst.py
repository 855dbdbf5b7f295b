"""How fast training and evaluation go here, measured for a moment."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import get_args

import torch

from model.data.chunks import Chunks, load_chunks
from model.data.sampler import ChunkBatch, ChunkSampler
from model.data.store import Store
from model.precision import Precision, compute_dtype, reduced_precision
from model.training.array import Slot
from model.training.config import TrainingConfig, TrialConfig

BATCHES = 8
ROUNDS = 3


@dataclass(frozen=True, slots=True)
class Speed:
    """Chunks a second."""

    training: float
    evaluation: float


def measure_speed(
    trial: TrialConfig, training: TrainingConfig, train: Store, device: torch.device, *, seconds: float = 1.0
) -> Speed:
    """Train and evaluate a fresh network on chunks of ``train`` for ``seconds`` each."""
    batches = ChunkSampler(train, training.sampler, training.data_seed).epoch(0)[:BATCHES]
    slot = Slot(trial, training.precision, device)

    def load(batch: ChunkBatch) -> Chunks:
        dtype = compute_dtype(training.precision)
        return load_chunks(train, batch, training.sampler.chunk_frames, device=device, dtype=dtype)

    def learn(batch: ChunkBatch) -> None:
        slot.step(load(batch), trial.learning_rate).sum().item()

    @torch.no_grad()
    def predict(batch: ChunkBatch) -> None:
        with reduced_precision(device, training.precision):
            slot.network(load(batch).features).spotting.sum().item()

    return Speed(_chunks_per_s(learn, batches, seconds), _chunks_per_s(predict, batches, seconds))


def faster_precision(
    trial: TrialConfig, training: TrainingConfig, train: Store, device: torch.device
) -> Precision:
    """The number format in which training goes faster on this device.

    Measured in turns, the best of each counts: other work on the machine only ever slows one down.
    """
    speeds: dict[Precision, float] = dict.fromkeys(get_args(Precision), 0.0)
    for precision in ROUNDS * get_args(Precision):
        config = replace(training, precision=precision)
        speed = measure_speed(trial, config, train, device, seconds=0.2).training
        speeds[precision] = max(speeds[precision], speed)
    return max(speeds, key=lambda precision: speeds[precision])


def _chunks_per_s(work: Callable[[ChunkBatch], None], batches: list[ChunkBatch], seconds: float) -> float:
    """Median over batches after one that is not counted: memory and kernels are set up in the first."""
    work(batches[0])
    rates: list[float] = []
    stop = time.perf_counter() + seconds
    while not rates or time.perf_counter() < stop:
        batch = batches[len(rates) % len(batches)]
        started = time.perf_counter()
        work(batch)
        rates.append(len(batch) / (time.perf_counter() - started))
    return sorted(rates)[len(rates) // 2]
