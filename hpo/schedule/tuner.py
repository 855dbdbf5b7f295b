"""Training of trials with Ray Tune, on this machine or on a cluster."""

import errno
import gc
import logging
import math
import os
import shutil
import signal
import warnings
from collections.abc import Iterator
from contextlib import chdir, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hpo.config.plain_paths import is_text, plain_path
from hpo.schedule.array_pool import CALLER_CPUS, ArrayPool
from hpo.schedule.trial_source import TrialSource
from model.errors import StorageError
from model.shell import shell_line

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
    # Ray's default of 15 leaves a trial 3 % of a core beside other work: its process would start for minutes.
    "RAY_worker_niceness": "0",
    # Otherwise Ray prints pages about a lost node into the study's progress.
    "RAY_DEDUP_LOGS_SKIP_REGEX": ".*",
}
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


def start_ray(**options: Any) -> None:
    """Start or join Ray without messages, and keep the process's own SIGTERM handler.

    Ray's handler would end the process at once, before the study records its interruption.
    """
    import ray

    at_sigterm = signal.getsignal(signal.SIGTERM)
    try:
        with quiet_ray(), _text_as_working_directory(), _text_as_command_line():
            ray.init(**options, **SILENT)
    finally:
        signal.signal(signal.SIGTERM, at_sigterm)


def stop_ray() -> None:
    """Leave Ray, and stop it if this process started it.

    Python must not search for garbage meanwhile: Ray ends the process with an error when another thread finds
    a forgotten reference to one of Ray's objects at that moment.
    """
    import ray

    was_enabled = gc.isenabled()
    gc.disable()
    try:
        ray.shutdown()
    finally:
        if was_enabled:
            gc.enable()


@contextmanager
def _text_as_working_directory() -> Iterator[None]:
    """Leave a working directory whose path is not text, which Ray cannot send to its processes.

    They find modules there by ``PYTHONPATH``, which may be any bytes.
    """
    here = Path.cwd()
    if is_text(here):
        yield
        return
    named = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    places = [here, *(Path(place).absolute() for place in named)]
    os.environ["PYTHONPATH"] = os.pathsep.join(map(str, dict.fromkeys(places)))
    with chdir("/"):
        yield


@contextmanager
def _text_as_command_line() -> Iterator[None]:
    """Hide the command line of this process from Ray if it is not text: Ray notes it and would fail."""
    import ray._private.utils as ray_utils

    told = ray_utils.get_entrypoint_name
    ray_utils.get_entrypoint_name = lambda: name if is_text(name := told()) else "hpo"
    try:
        yield
    finally:
        ray_utils.get_entrypoint_name = told


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
        RayDiedError: A process of Ray ended.
    """
    from ray import tune

    from hpo.schedule.adapter import (
        NoReporter,
        StudyCallback,
        StudyScheduler,
        StudySearcher,
        StudyStopper,
    )
    from hpo.schedule.hang_detector import HangDetector
    from hpo.schedule.interruption import Interrupter
    from hpo.schedule.local_ray import RayDeath, death_of_ray
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
    detector, interrupter = HangDetector(source, arrays, limit_s=hangs_after_s), Interrupter(source)
    with quiet_ray(), _storage_errors(storage):
        tuner = tune.Tuner(
            tune.with_resources(TrialTrainable, resources),
            tune_config=tune.TuneConfig(
                search_alg=StudySearcher(source, parallelism.threads, arrays),
                scheduler=StudyScheduler(source, arrays, interrupter),
                max_concurrent_trials=parallelism.concurrent,
                num_samples=-1,
                reuse_actors=True,
                trial_dirname_creator=lambda trial: str(trial.config["spec"]["trial"]),
            ),
            run_config=tune.RunConfig(
                name=TUNE_FOLDER,
                storage_path=str(plain_path(storage)),
                stop=StudyStopper(source),
                callbacks=[StudyCallback(source, arrays, detector, interrupter)],
                failure_config=tune.FailureConfig(max_failures=RESTARTS),
                # Trials write their own; with one more at the end Tune would keep the last result in memory.
                checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
                progress_reporter=NoReporter(),
                verbose=0,
            ),
        )
        try:
            tuner.fit()
        except RayDeath as death:
            raise death.error(storage.name) from None
        finally:
            if arrays and death_of_ray() is None:
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
        fix = f"free disk space, then continue with {shell_line('hpo', 'resume', storage.name)}"
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
