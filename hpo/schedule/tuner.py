"""Running trials on Ray Tune, on this machine or on a cluster."""

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

from hpo.schedule.arrays import CALLER_CPUS, ArrayPool
from hpo.schedule.feed import TrialFeed
from model.errors import StorageError

# Read when Ray is imported, here and in every process that it starts.
_QUIET = {
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_TRAIN_ENABLE_V2_MIGRATION_WARNINGS": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    # What Ray would print into the study's progress: pages about a node that was lost.
    "RAY_DEDUP_LOGS_SKIP_REGEX": ".*",
}
_ALONE = "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"
"""Where it is off, Ray listens on loopback only; where it is not set, on Windows and macOS only."""
SILENT: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
TUNE_FOLDER = "tune"
RESTARTS = 2
"""How often a trial whose process died goes on from its checkpoint before it counts as failed."""


def before_importing_ray() -> None:
    """Set what Ray reads when it is imported; what the user has set stands."""
    os.environ.update({name: value for name, value in _QUIET.items() if name not in os.environ})
    if "RAY_AUTH_TOKEN" in os.environ or "RAY_AUTH_TOKEN_PATH" in os.environ:
        # Without it Ray's clients have a token and do not show it.
        os.environ.setdefault("RAY_AUTH_MODE", "token")


@contextmanager
def ray_session(*, cpus: int, gpus: int) -> Iterator[None]:
    """Start Ray on this machine and stop it at the end; use what is running where there is one."""
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
    """Start or join Ray without a word, and leave SIGTERM to the study: Ray would end the process at once."""
    import ray

    at_sigterm = signal.getsignal(signal.SIGTERM)
    with quiet_ray():
        ray.init(**options, **SILENT)
    signal.signal(signal.SIGTERM, at_sigterm)


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """Where trials are trained: how many at a time, and how many of them in one process."""

    concurrent: int
    """Trials that run at the same time."""
    array: int
    """Of these, how many are trained together in one process."""
    cpus: int
    """Processor cores for all of them."""
    gpu: bool
    """Whether to train on GPUs, each shared by as many processes as it must be."""

    @property
    def processes(self) -> int:
        """Processes that train."""
        return math.ceil(self.concurrent / self.array)

    @property
    def threads(self) -> int:
        """Processor cores of each of them."""
        return max(1, self.cpus // self.processes)


def run_trials(feed: TrialFeed, places: Places, *, storage: Path, hangs_after_s: float | None = None) -> None:
    """Train the trials of ``feed`` until it has no more, or until Ctrl-C.

    Args:
        feed: Called in this thread.
        places: Where they are trained.
        storage: The study's folder; gets one of Tune's own files, new every time, which no resume needs.
        hangs_after_s: How long a trial may be silent before its process is killed; None: for ever.

    Raises:
        StorageError: The study's folder cannot be written.
    """
    from ray import tune

    from hpo.schedule.adapter import FeedCallback, FeedScheduler, FeedSearcher
    from hpo.schedule.hangs import HangWatch
    from hpo.trial.trainable import TrialTrainable

    shutil.rmtree(storage / TUNE_FOLDER, ignore_errors=True)
    gpu_share = _gpu_share(places.processes) if places.gpu else 0.0
    resources = {"cpu": float(places.threads), "gpu": gpu_share}
    arrays = None
    if places.array > 1:
        resources = {"cpu": CALLER_CPUS}
        arrays = ArrayPool(
            arrays=places.processes, slots=places.array, threads=places.threads, gpus=gpu_share
        )
    watch = HangWatch(feed, arrays, limit_s=hangs_after_s)
    with quiet_ray(), _told_how_to_go_on(storage):
        tuner = tune.Tuner(
            tune.with_resources(TrialTrainable, resources),
            tune_config=tune.TuneConfig(
                search_alg=FeedSearcher(feed, places.threads, arrays),
                scheduler=FeedScheduler(feed, arrays),
                max_concurrent_trials=places.concurrent,
                num_samples=-1,
                reuse_actors=True,
                trial_dirname_creator=lambda trial: str(trial.config["spec"]["trial"]),
            ),
            run_config=tune.RunConfig(
                name=TUNE_FOLDER,
                storage_path=str(storage),
                callbacks=[FeedCallback(feed, arrays, watch)],
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
def _told_how_to_go_on(storage: Path) -> Iterator[None]:
    """Say what to do when the study's folder is full; Tune buries the error in pages of its own."""
    try:
        yield
    except Exception as error:
        reason = next(filter(None, map(_unwritable, _chain(error))), None)
        if reason is None:
            raise
        fix = f"make room, then hpo resume {storage.name}"
        raise StorageError(reason, folder=storage, fix=fix) from error


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """An error and those that it was raised for."""
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
    """Keep Ray's and Tune's remarks from the user: progress is shown by the study."""
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
