"""Time and memory that a study needs, estimated from a short measurement."""

from dataclasses import dataclass

from hpo.config.environment import Environment
from hpo.journal.budget import TRIAL_START_S
from hpo.schedule.tuner import Parallelism
from hpo.study.measuring import measured_time
from hpo.study.plan import StudyPlan
from hpo.tasks.base.task import TrialTime

SESSION_START_S = 15.0
"""Seconds that Ray and its first process need to start."""

PROCESS_BYTES = 400_000_000
"""Resident bytes of a process that has imported PyTorch and trains nothing yet (benchmarks/RESULTS.md)."""
_BYTES_A_WEIGHT = 16
"""Bytes of a weight, its gradient and Adam's two moments, in float32."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """Estimated time of a stage, for trials with the study file's own hyperparameters."""

    trial: TrialTime
    study_s: float


def estimate(
    plan: StudyPlan, parallelism: Parallelism, environment: Environment, *, trials: int
) -> Estimate | None:
    """Measure a short training with the cores of one of several concurrent trials, and extrapolate."""
    time = measured_time(
        plan.study,
        plan.shape,
        (plan.train, plan.valid),
        plan.precision,
        plan.device,
        parallelism.array,
        parallelism.threads,
        environment,
    )
    if time is None:
        return None
    rounds = -(-trials // parallelism.concurrent)
    return Estimate(time, SESSION_START_S + rounds * (time.trial_s + TRIAL_START_S))


def least_memory_bytes(plan: StudyPlan, parallelism: Parallelism) -> int:
    """Return the least memory, in bytes, that a training process needs on its machine.

    Batches and memory-mapped data are not included; on a GPU, networks are not either.
    """
    if parallelism.gpu:
        return PROCESS_BYTES
    weights = plan.task.weight_count(plan.study, plan.shape)
    return PROCESS_BYTES + parallelism.array * weights * _BYTES_A_WEIGHT
