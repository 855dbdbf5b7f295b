"""Short measurements of the speed of training and evaluation on this device."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import torch

from model.data.chunks import ChunkSource
from model.data.sampler import ChunkBatch, ChunkSampler
from model.data.stores.store import Store
from model.memory import unless_out_of_memory
from model.networks.stack import Stack, group_for_device
from model.precision import Precision, compute_dtype, computing, precisions_of
from model.training.config import TrainingConfig, TrialConfig
from model.training.recorder import Recorder
from model.training.slot import Slot
from model.training.steps import make_steps, padded_size

BATCHES = 8
ROUNDS = 3
NEAR_BEST = 0.95
"""Fraction of the best speed that is enough for a smaller array, which wastes less when trials end."""


@dataclass(frozen=True, slots=True)
class Speed:
    """Chunks per second, summed over the trials of an array."""

    training: float
    evaluation: float


class _Array:
    """New networks that form one array, and batches of chunks for them."""

    def __init__(
        self, trials: Sequence[TrialConfig], training: TrainingConfig, train: Store, device: torch.device
    ) -> None:
        self._training, self._device = training, device
        self._batches = ChunkSampler(train, training.sampler, trials[0].data_seed).epoch(0)[:BATCHES]
        slots = [Slot(trial) for trial in trials]
        self._source = ChunkSource(
            train, training.sampler.chunk_frames, device=device, dtype=compute_dtype(training.precision)
        )
        self._steps = make_steps([slots], self._source, device, Recorder())
        self._rates = [[trial.learning_rate for trial in trials]]
        groups = group_for_device([slot.network for slot in slots], device)
        self._stacks = [Stack(group, device) for group in groups]

    def learn(self, batch: ChunkBatch) -> None:
        """Train all networks on a batch."""
        self._steps.epoch([[batch]], self._rates).sum().item()

    @torch.no_grad()
    def predict(self, batch: ChunkBatch) -> None:
        """Evaluate all networks on a batch."""
        features = self._source.load([batch]).features
        for stack in self._stacks:
            stack.forward(features, stack.statistics).spotting.sum().item()

    def speed(self, work: Callable[[ChunkBatch], None], seconds: float) -> float:
        """Return the chunks per second of ``work``, summed over the trials."""
        with computing(self._training.precision, self._device):
            return len(self._rates[0]) * _chunks_per_s(work, self._batches, seconds)


def measure_speed(
    trials: Sequence[TrialConfig],
    training: TrainingConfig,
    train: Store,
    device: torch.device,
    *,
    seconds: float = 1.0,
) -> Speed:
    """Measure the training and the evaluation of new networks as one array, for ``seconds`` each."""
    array = _Array(trials, training, train, device)
    return Speed(array.speed(array.learn, seconds), array.speed(array.predict, seconds))


def measure_training(
    trials: Sequence[TrialConfig],
    training: TrainingConfig,
    train: Store,
    device: torch.device,
    *,
    seconds: float,
) -> float:
    """Measure the training of new networks as one array, in chunks per second summed over the trials."""
    array = _Array(trials, training, train, device)
    return array.speed(array.learn, seconds)


def faster_precision(
    trial: TrialConfig, training: TrainingConfig, train: Store, device: torch.device, *, array: int
) -> Precision:
    """Return the number format in which an array of ``array`` trials trains fastest on this device.

    A trial alone would not tell on a GPU, which then waits for launches in every format. The formats are
    measured in turn and the best result of each counts, because other work on the machine can only slow a
    measurement down.
    """
    trials = [replace(trial, seed=seed) for seed in range(array)]
    precisions = precisions_of(device)
    speeds: dict[Precision, float] = dict.fromkeys(precisions, 0.0)
    for precision in ROUNDS * precisions:
        config = replace(training, precision=precision)
        speed = measure_training(trials, config, train, device, seconds=0.2)
        speeds[precision] = max(speeds[precision], speed)
    return max(speeds, key=lambda precision: speeds[precision])


def fastest_array(
    trial: TrialConfig, training: TrainingConfig, train: Store, device: torch.device, *, most: int
) -> int:
    """Return the number of trials, at most ``most``, to train together in one process on this device.

    This is the smallest array that reaches ``NEAR_BEST`` of the best speed among those that fit into memory.
    """
    speeds: dict[int, float] = {}
    for size in _doubling(most):
        trials = [replace(trial, seed=seed) for seed in range(size)]
        speed = unless_out_of_memory(partial(measure_training, trials, training, train, device, seconds=0.5))
        if speed is None:
            break
        speeds[size] = speed
    enough = NEAR_BEST * max(speeds.values(), default=0.0)
    return next((size for size, speed in speeds.items() if speed >= enough), 1)


def _doubling(most: int) -> list[int]:
    """1, 2, 4 and so on, and ``most`` itself."""
    sizes = [2**power for power in range(most.bit_length()) if 2**power < most]
    return [*sizes, most]


def _chunks_per_s(work: Callable[[ChunkBatch], None], batches: list[ChunkBatch], seconds: float) -> float:
    """Median over batches after some that are not counted: they set up memory, kernels and recordings."""
    for batch in _one_per_recording(batches):
        work(batch)
    rates: list[float] = []
    stop = time.perf_counter() + seconds
    while not rates or time.perf_counter() < stop:
        batch = batches[len(rates) % len(batches)]
        started = time.perf_counter()
        work(batch)
        rates.append(len(batch) / (time.perf_counter() - started))
    return sorted(rates)[len(rates) // 2]


def _one_per_recording(batches: Sequence[ChunkBatch]) -> list[ChunkBatch]:
    """Return a batch of every size that a GPU records, the largest first (see ``Recorder``)."""
    of_size = {padded_size(len(batch)): batch for batch in batches}
    return [of_size[size] for size in sorted(of_size, reverse=True)]
