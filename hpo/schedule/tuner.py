"""Running trials on Ray Tune, on this machine."""

import logging
import os
import shutil
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hpo.schedule.feed import TrialFeed

# Read when Ray is imported, here and in every process that it starts.
_QUIET = {
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_TRAIN_ENABLE_V2_MIGRATION_WARNINGS": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
}
TUNE_FOLDER = "tune"
RESTARTS = 2
"""How often a trial whose process died goes on from its checkpoint before it counts as failed."""


def before_importing_ray() -> None:
    """Set what Ray reads when it is imported; what the user has set stands."""
    os.environ.update({name: value for name, value in _QUIET.items() if name not in os.environ})


@contextmanager
def ray_session(*, cpus: int, gpus: int) -> Iterator[None]:
    """Start Ray on this machine and stop it at the end; use what is running where there is one."""
    before_importing_ray()
    import ray

    if ray.is_initialized():
        yield
        return
    with _quiet():
        ray.init(
            address="local",
            num_cpus=cpus,
            num_gpus=gpus,
            include_dashboard=False,
            log_to_driver=False,
            logging_level=logging.ERROR,
        )
    try:
        yield
    finally:
        ray.shutdown()


def run_trials(feed: TrialFeed, *, concurrent: int, threads: int, gpu_share: float, storage: Path) -> None:
    """Train the trials of ``feed`` until it has no more, or until Ctrl-C.

    Args:
        feed: Called in this thread.
        concurrent: Trials that run at the same time.
        threads: Processor cores of a trial.
        gpu_share: Share of a GPU that a trial takes; 0 trains on the processor.
        storage: Gets a folder of Tune's own files, new every time; nothing in it is needed to resume.
    """
    from ray import tune

    from hpo.schedule.adapter import FeedCallback, FeedScheduler, FeedSearcher
    from hpo.trial.trainable import TrialTrainable

    shutil.rmtree(storage / TUNE_FOLDER, ignore_errors=True)
    resources = {"cpu": float(threads), "gpu": gpu_share}
    with _quiet():
        tuner = tune.Tuner(
            tune.with_resources(TrialTrainable, resources),
            tune_config=tune.TuneConfig(
                search_alg=FeedSearcher(feed, threads),
                scheduler=FeedScheduler(feed),
                max_concurrent_trials=concurrent,
                num_samples=-1,
                reuse_actors=True,
                trial_dirname_creator=lambda trial: str(trial.config["task"]["trial"]),
            ),
            run_config=tune.RunConfig(
                name=TUNE_FOLDER,
                storage_path=str(storage),
                callbacks=[FeedCallback(feed)],
                failure_config=tune.FailureConfig(max_failures=RESTARTS),
                verbose=0,
            ),
        )
        tuner.fit()


@contextmanager
def _quiet() -> Iterator[None]:
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
