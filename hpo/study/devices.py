"""Devices and processor cores that a study trains on."""

import joblib

from hpo.config.environment import Environment
from hpo.config.study_file import StudyFile
from hpo.schedule.gpus import TrainingGpus
from model.errors import ConfigError
from model.precision import precisions_of


def training_device(wanted: str, study: StudyFile, environment: Environment) -> str:
    """Resolve ``auto`` to ``cuda`` if a machine that trains has a GPU, else to ``cpu``.

    Raises:
        ConfigError: The device is unknown, ``cuda`` is not available, or a processor lacks the number format.
        UserError: The cluster that trains does not answer.
    """
    where = "this machine" if environment.ray_address is None else "the Ray cluster"
    has_gpu = wanted != "cpu" and TrainingGpus(environment.ray_address, study.task).count > 0
    import torch  # commands that only read a study do without

    device = resolved_device(wanted, has_gpu=has_gpu, where=where)
    precision = getattr(study.training, "precision", "auto")
    if precision != "auto" and precision not in precisions_of(torch.device(device)):
        raise ConfigError(
            f"training.precision {precision!r} needs a GPU, and this study trains on {device}",
            fix='set precision to "auto", "float32" or "bfloat16"',
        )
    return device


def choose_device(wanted: str) -> str:
    """Resolve ``auto`` to ``cuda`` if this machine has a GPU, else to ``cpu``.

    Raises:
        ConfigError: The device is unknown, or ``cuda`` is not available.
    """
    import torch  # commands that only read a study do without

    return resolved_device(wanted, has_gpu=torch.cuda.is_available(), where="this machine")


def resolved_device(wanted: str, *, has_gpu: bool, where: str) -> str:
    """Resolve ``auto`` to ``cuda`` if there is a GPU, else to ``cpu``.

    Args:
        wanted: The device that was typed.
        has_gpu: Whether there is a GPU.
        where: Name of the machines, for the error.

    Raises:
        ConfigError: The device is unknown, or ``cuda`` is not available.
    """
    if wanted not in ("auto", "cpu", "cuda"):
        raise ConfigError(f"expected --device auto, cpu or cuda, got {wanted!r}")
    if wanted == "cuda" and not has_gpu:
        raise ConfigError(
            f"--device cuda: {where} has no CUDA device", fix="use --device auto or --device cpu"
        )
    if wanted == "auto":
        return "cuda" if has_gpu else "cpu"
    return wanted


def available_cpus() -> int:
    """Return the number of logical cores that this process may use.

    This is the smallest of: the machine's cores, the process's CPU affinity, the quota of its container
    (rounded up), and the environment variable ``LOKY_MAX_CPU_COUNT``.
    """
    return int(joblib.cpu_count())
