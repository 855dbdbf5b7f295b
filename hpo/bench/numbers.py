"""Check of the numbers of a training step: losses and gradients beside those of the processor in float32."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from hpo.bench.line import Line, judged
from hpo.bench.setting import Setting
from hpo.bench.trials import SAMPLER, batches, mixed_cohorts
from model.data.chunks import ChunkSource, chunk_places
from model.data.sampler import ChunkBatch
from model.data.stores.store import Store
from model.losses.forms import Matching
from model.precision import Precision, compute_dtype, computing, precisions_of
from model.training.config import TrialConfig
from model.training.slot import Slot
from model.training.training_stack import TrainingStack

TOLERANCE: dict[Precision, float] = {"float32": 1e-4, "tf32": 2e-2, "bfloat16": 2e-2}
"""Largest error of losses and gradients in each number format; see ``compared``."""
BATCHES, CHUNKS = 5, (2, 3)
"""Number of batches, each of which every trial sees with its initial weights, and their chunks by cohort.

Few chunks, because of the kinks that ``compared`` tells of: on a GPU one batch of 28 chunks in ten has none.
"""
PADDING = 3
"""Number of padding chunks in the larger batch; the smaller one has more."""
CPU = torch.device("cpu")


@dataclass(frozen=True, slots=True)
class Step:
    """Losses and gradients of one trial in one step."""

    losses: Tensor
    gradients: Mapping[str, Tensor]


def check_step(setting: Setting) -> Iterator[Line]:
    """Compare an array of mixed f and r, two cohorts and padded batches with its trials one by one.

    Rounding to fewer bits can match an action with another prediction, after which nothing is comparable.
    Those formats are compared without the matching, which is computed in float32 in every format.
    """
    whole = batches(setting.train, BATCHES)
    seen_by = [[_first(batch, chunks) for batch in own] for own, chunks in zip(whole, CHUNKS, strict=True)]
    steps = list(zip(*seen_by, strict=True))
    for precision in precisions_of(setting.device):
        cohorts = _cohorts(setting.train, "one-to-one" if precision == "float32" else "none")
        yield compared(
            f"losses and gradients, {precision}",
            precision,
            [step_together(cohorts, seen, setting.train, precision, setting.device) for seen in steps],
            [_one_by_one(cohorts, seen, setting.train) for seen in steps],
        )


def _first(batch: ChunkBatch, chunks: int) -> ChunkBatch:
    return ChunkBatch(batch.half[:chunks], batch.start[:chunks])


def _cohorts(train: Store, matching: Matching) -> list[list[TrialConfig]]:
    return [
        [replace(trial, loss=replace(trial.loss, matching=matching)) for trial in trials]
        for trials in mixed_cohorts(train)
    ]


def _one_by_one(
    cohorts: Sequence[Sequence[TrialConfig]], seen: Sequence[ChunkBatch], train: Store
) -> list[Step]:
    return [
        step_alone(trial, batch, train)
        for trials, batch in zip(cohorts, seen, strict=True)
        for trial in trials
    ]


def step_alone(trial: TrialConfig, batch: ChunkBatch, train: Store) -> Step:
    """Train a trial for one step, alone, on the processor and in float32."""
    source = ChunkSource(train, SAMPLER.chunk_frames, device=CPU, dtype=torch.float32)
    stack = TrainingStack([[Slot(trial)]], CPU)
    losses = stack.step(source.load([batch]))
    return Step(losses[:, 0], stack.gradients_of(0))


def step_together(
    cohorts: Sequence[Sequence[TrialConfig]],
    seen: Sequence[ChunkBatch],
    train: Store,
    precision: Precision,
    device: torch.device,
) -> list[Step]:
    """Train all trials for one step as one stack, on batches with padding."""
    source = ChunkSource(train, SAMPLER.chunk_frames, device=device, dtype=compute_dtype(precision))
    places = chunk_places(seen, max(map(len, seen)) + PADDING)
    with computing(precision, device):
        stack = TrainingStack([[Slot(trial) for trial in trials] for trials in cohorts], device)
        losses = stack.step(source.cut(places.to(device), padded=True)).cpu()
    return [Step(losses[:, index], stack.gradients_of(index)) for index in range(losses.shape[1])]


def compared(
    name: str, precision: Precision, found: Sequence[Sequence[Step]], expected: Sequence[Sequence[Step]]
) -> Line:
    """Return the line of a number format: the largest errors of losses and gradients.

    An activation that rounding moves over a kink of ReLU or pooling changes a gradient by up to a hundredth,
    also in float32. Of each trial, the batch with the smallest error counts: what is wrong is wrong in all.

    Args:
        name: What is compared.
        precision: Number format of ``found``.
        found: Steps by batch and trial.
        expected: The same steps on the processor in float32.
    """
    pairs = [list(zip(*both, strict=True)) for both in zip(found, expected, strict=True)]
    loss = max(relative_error(ours.losses, theirs.losses) for batch in pairs for ours, theirs in batch)
    error = _largest_error if precision == "float32" else turn
    by_batch = [[error(ours.gradients, theirs.gradients) for ours, theirs in batch] for batch in pairs]
    gradient = max(map(min, zip(*by_batch, strict=True)))
    kind = "of each weight" if precision == "float32" else "in direction and length"
    limit = TOLERANCE[precision]
    return judged(
        name,
        max(loss, gradient) <= limit,
        f"{len(by_batch[0])} trials, relative error of losses {loss:.1e}, "
        f"of gradients {kind} {gradient:.1e}, at most {limit:.0e}",
    )


def _largest_error(found: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> float:
    return max(relative_error(found[name], value) for name, value in expected.items())


def relative_error(found: Tensor, expected: Tensor) -> float:
    """Return the relative error of all numbers together; infinite if one is NaN."""
    wanted = expected.double()
    error = float((found.double() - wanted).norm() / wanted.norm().clamp_min(1e-30))
    return error if math.isfinite(error) else math.inf


def turn(found: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> float:
    """Return the error of a whole gradient in direction (1 - cosine) or length, whichever is larger.

    Numbers of 8 or 11 bits move some activations over the kinks of ReLU and pooling. Single
    gradients then change by a tenth and more, also between two orders of the same sum, but the direction and
    the length of the whole gradient hardly change.
    """
    ours, theirs = (
        torch.cat([each[name].double().flatten() for name in expected]) for each in (found, expected)
    )
    length = ours.norm() / theirs.norm()
    cosine = (ours @ theirs) / (ours.norm() * theirs.norm())
    error = max(float(1.0 - cosine), abs(float(length) - 1.0))
    return error if torch.isfinite(ours).all() else math.inf
