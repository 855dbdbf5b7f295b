"""Trials that the checks train: different f and r, in two cohorts."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from hpo.bench.setting import Setting
from model.data.sampler import ChunkBatch, ChunkSampler, SamplerConfig
from model.data.stores.store import Store
from model.training.benchmark import MIXED, bench_trials
from model.training.config import TrainingConfig, TrialConfig
from model.training.slot import Slot
from model.training.trainer import TrainingArray

SAMPLER = SamplerConfig()
RATE = 1e-3
COHORTS = (0, 1)
"""Data seeds of the two cohorts."""


def mixed_cohorts(train: Store) -> list[list[TrialConfig]]:
    """Return two cohorts of two trials; all differ in f and r."""
    trials = bench_trials(len(MIXED), train, mixed=True)
    return [[replace(trial, data_seed=seed) for trial in trials[seed::2]] for seed in COHORTS]


def batches(train: Store, count: int) -> list[list[ChunkBatch]]:
    """Return the first ``count`` batches of each cohort."""
    return [_first_batches(ChunkSampler(train, SAMPLER, seed), count) for seed in COHORTS]


def _first_batches(sampler: ChunkSampler, count: int) -> list[ChunkBatch]:
    found: list[ChunkBatch] = []
    epoch = 0
    while len(found) < count:
        found += sampler.epoch(epoch)
        epoch += 1
    return found[:count]


def rates(trials: Sequence[object], steps: int) -> list[list[float]]:
    """Return the learning rates of ``steps`` steps, one number per trial."""
    return [[RATE] * len(trials)] * steps


def training_array(
    setting: Setting, trials: Sequence[TrialConfig], *, epochs: int, on_note: Callable[[str], None]
) -> TrainingArray:
    """Return an array that validates its trials after every epoch."""
    training = TrainingConfig(epochs=epochs, validate_every=1, sampler=SAMPLER)
    array = TrainingArray(
        training, train=setting.train, valid=setting.valid, device=setting.device, on_note=on_note
    )
    array.slots = [Slot(trial) for trial in trials]
    return array
