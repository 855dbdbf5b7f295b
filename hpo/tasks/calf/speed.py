"""Estimate of a trial's duration from a short measurement."""

import torch

from hpo.tasks.base.task import TrialTime
from model.data.sampler import ChunkSampler
from model.data.stores.store import Store
from model.inference.stitching import tile
from model.training.config import TrainingConfig, TrialConfig
from model.training.throughput import measure_speed
from model.training.trainer import CALIBRATION_CHUNKS
from model.wording import counted


def measure_trial_time(
    trial: TrialConfig,
    training: TrainingConfig,
    splits: tuple[Store, Store],
    device: torch.device,
    array: int,
) -> TrialTime:
    """Train ``array`` trials together for two seconds and extrapolate to the duration of a trial."""
    train, valid = splits
    together = measure_speed([trial] * array, training, train, device)
    trained, evaluated = together.training / array, together.evaluation / array
    per_epoch = ChunkSampler(train, training.sampler, trial.data_seed).chunks_per_epoch
    network = trial.network
    tiling = tile(valid.halves, chunk_frames=network.chunk_frames, edge_frames=network.edge_frames)
    validations = -(-training.epochs // training.validate_every)
    validation = len(tiling.chunks) + min(CALIBRATION_CHUNKS, per_epoch)
    return TrialTime(
        trial_s=training.epochs * per_epoch / trained + validations * validation / evaluated,
        speed=f"{trained:,.0f} chunks/s in training, {evaluated:,.0f} in validation (measured now)",
        work=f"{counted(training.epochs, 'epoch')} of {per_epoch:,} chunks, "
        f"{counted(validations, 'validation')} of {len(tiling.chunks):,}",
    )
