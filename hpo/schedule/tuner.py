"""Training of trials with Ray Tune, on this machine or on a cluster."""

import errno
import logging
import math
import os
import shutil
import signal
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hpo.schedule.array_pool import CALLER_CPUS, ArrayPool
from hpo.schedule.trial_source import TrialSource
from model.errors import StorageError

# Read when Ray is imported, here and in every process that it starts.
_QUIET = {
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_TRAIN_ENABLE_V2_MIGRATION_WARNINGS": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    # Resume reads the journal, never Tune's snapshots, which grow with the number of trials.
    "TUNE_GLOBAL_CHECKPOINT_S": str(10**9),
    # Ray would start a process per core in advance; Tune's variables make them useless to trials.
    "RAY_prestart_worker_first_driver": "0",
    # Otherwise Ray prints pages about a lost node into the study's progress.
    "RAY_DEDUP_LOGS_SKIP_REGEX": ".*",
}
_ALONE = "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"
"""Variable that makes Ray listen on loopback only if it is 0; by default Ray does so on Windows and macOS."""
SILENT: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
"""Options of ``ray.init`` that suppress Ray's messages."""
TUNE_FOLDER = "tune"
"""Name of the folder in a study's folder that Ray Tune writes to."""
RESTARTS = 2
"""Number of times that a trial whose process died resumes from its checkpoint before it fails."""


def before_importing_ray() -> None:
    """Set the environment variables that Ray reads on import, except those that the user has set."""
    os.environ.update({name: value for name, value in _QUIET.items() if name not in os.environ})
    if "RAY_AUTH_TOKEN" in os.environ or "RAY_AUTH_TOKEN_PATH" in os.environ:
        # Without it, Ray's clients do not send their token.
        os.environ.setdefault("RAY_AUTH_MODE", "token")


@contextmanager
def ray_session(*, cpus: int, gpus: int) -> Iterator[None]:
    """Start Ray on this machine and stop it at the end; use Ray as it is if it runs already."""
    before_importing_ray()
    os.environ.setdefault(_ALONE, "0")
    import ray

    if ray.is_initialized():
        yield
        return
    start_ray(address="local", num_cpus=cpus, num_gpus=gpus, include_dashboard=False)
    try:
        yield
    finally:
        ray.shutdown()


def start_ray(**options: Any) -> None:
    """Start or join Ray without messages, and keep the process's own SIGTERM handler.

    Ray's handler would end the process at once, before the study records its interruption.
    """
    import ray

    at_sigterm = signal.getsignal(signal.SIGTERM)
    with quiet_ray():
        ray.init(**options, **SILENT)
    signal.signal(signal.SIGTERM, at_sigterm)


@dataclass(frozen=True, slots=True, kw_only=True)
class Parallelism:
    """Numbers of trials, processes and processor cores with which a stage trains."""

    concurrent: int
    """Number of trials that run at the same time."""
    array: int
    """Number of trials that one process trains together."""
    cpus: int
    """Processor cores for all processes together."""
    gpu: bool
    """True to train on GPUs. Processes share a GPU if there are more processes than GPUs."""

    @property
    def processes(self) -> int:
        """Number of processes that train."""
        return math.ceil(self.concurrent / self.array)

    @property
    def threads(self) -> int:
        """Processor cores per process."""
        return max(1, self.cpus // self.processes)


def run_trials(
    source: TrialSource, parallelism: Parallelism, *, storage: Path, hangs_after_s: float | None = None
) -> None:
    """Train all trials of ``source``; Ctrl-C stops the training.

    Args:
        source: Provides the trials and records their results; called in this thread.
        parallelism: Numbers of concurrent trials, processes and cores.
        storage: Folder of the study. Tune's own files are written to a subfolder, which is deleted first.
        hangs_after_s: Seconds without a validation after which the process of a trial is killed; None: never.

    Raises:
        StorageError: The study's folder cannot be written.
    """
    from ray import tune

    from hpo.schedule.adapter import StudyCallback, StudyScheduler, StudySearcher
    from hpo.schedule.hang_detector import HangDetector
    from hpo.trial.trainable import TrialTrainable

    shutil.rmtree(storage / TUNE_FOLDER, ignore_errors=True)
    gpu_share = _gpu_share(parallelism.processes) if parallelism.gpu else 0.0
    resources = {"cpu": float(parallelism.threads), "gpu": gpu_share}
    arrays = None
    if parallelism.array > 1:
        resources = {"cpu": CALLER_CPUS}
        arrays = ArrayPool(
            arrays=parallelism.processes,
            slots=parallelism.array,
            threads=parallelism.threads,
            gpus=gpu_share,
        )
    detector = HangDetector(source, arrays, limit_s=hangs_after_s)
    with quiet_ray(), _storage_errors(storage):
        tuner = tune.Tuner(
            tune.with_resources(TrialTrainable, resources),
            tune_config=tune.TuneConfig(
                search_alg=StudySearcher(source, parallelism.threads, arrays),
                scheduler=StudyScheduler(source, arrays),
                max_concurrent_trials=parallelism.concurrent,
                num_samples=-1,
                reuse_actors=True,
                trial_dirname_creator=lambda trial: str(trial.config["spec"]["trial"]),
            ),
            run_config=tune.RunConfig(
                name=TUNE_FOLDER,
                storage_path=str(storage),
                callbacks=[StudyCallback(source, arrays, detector)],
                failure_config=tune.FailureConfig(max_failures=RESTARTS),
                verbose=0,
            ),
        )
        try:
            tuner.fit()
        finally:
            if arrays:
                arrays.close()


@contextmanager
def _storage_errors(storage: Path) -> Iterator[None]:
    """Replace Tune's long error by a clear one when the study's folder cannot be written."""
    try:
        yield
    except Exception as error:
        reason = next(filter(None, map(_unwritable, _chain(error))), None)
        if reason is None:
            raise
        fix = f"free disk space, then continue with hpo resume {storage.name}"
        raise StorageError(reason, folder=storage, fix=fix) from error


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error and its causes."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _unwritable(error: BaseException) -> str | None:
    if isinstance(error, StorageError):
        return error.message
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"Ray Tune cannot write its files: {error.strerror}"
    return None


def _gpu_share(processes: int) -> float:
    import ray

    gpus = max(1, int(ray.cluster_resources().get("GPU", 1)))
    return 1 / math.ceil(processes / gpus)


@contextmanager
def quiet_ray() -> Iterator[None]:
    """Suppress messages of Ray and Tune inside the context: the study shows its own progress."""
    loggers = [logging.getLogger(name) for name in ("ray", "ray.tune", "ray.train")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
