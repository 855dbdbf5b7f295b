"""What a study will take: time, from a short burst of training, and memory."""

from dataclasses import dataclass

import torch

from hpo.schedule.tuner import Places
from hpo.study.plan import StudyPlan
from model.data.sampler import ChunkSampler
from model.inference.stitching import tile
from model.networks.calf import CalfNetwork
from model.training.array import CALIBRATION_CHUNKS
from model.training.burst import Speed, measure_speed

TRIAL_START_S = 0.5
"""Opening the data and drawing weights in a process that is there already."""
SESSION_START_S = 15.0
"""Starting Ray and its first process."""

PROCESS_BYTES = 400_000_000
"""Resident memory of a process that has loaded PyTorch and trains nothing yet (benchmarks/RESULTS.md)."""
_BYTES_A_WEIGHT = 16
"""The weight, its gradient and Adam's two moments, in float32."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """Time that a study needs, with the paper's hyperparameters as the typical trial."""

    speed: Speed
    chunks_per_epoch: int
    validation_chunks: int
    validations: int
    trial_s: float
    study_s: float


def estimate(plan: StudyPlan, places: Places, *, trials: int) -> Estimate:
    """Train for two seconds and extrapolate; trials that run together have fewer cores each."""
    torch.set_num_threads(places.threads)
    train, valid = plan.train.open(), plan.valid.open()
    trial, training = plan.paper_trial(), plan.training()
    together = measure_speed([trial] * places.array, training, train, torch.device(plan.device))
    speed = Speed(together.training / places.array, together.evaluation / places.array)
    per_epoch = ChunkSampler(train, training.sampler, trial.data_seed).chunks_per_epoch
    network = trial.network
    tiling = tile(valid.halves, chunk_frames=network.chunk_frames, edge_frames=network.edge_frames)
    validations = -(-training.epochs // training.validate_every)
    evaluated = len(tiling.chunks) + min(CALIBRATION_CHUNKS, per_epoch)
    trial_s = (
        training.epochs * per_epoch / speed.training
        + validations * evaluated / speed.evaluation
        + TRIAL_START_S
    )
    rounds = -(-trials // places.concurrent)
    study_s = SESSION_START_S + rounds * trial_s
    return Estimate(speed, per_epoch, len(tiling.chunks), validations, trial_s, study_s)


def least_memory_bytes(plan: StudyPlan, places: Places) -> int:
    """What a process that trains takes of its machine at the very least, with the paper's network.

    Batches and mapped data come on top; on a GPU the networks do not count.
    """
    if places.gpu:
        return PROCESS_BYTES
    network = CalfNetwork(plan.paper_trial().network, torch.Generator())
    weights: int = sum(weight.numel() for weight in network.parameters())
    return PROCESS_BYTES + places.array * weights * _BYTES_A_WEIGHT
