"""Start and end of this process's connection to Ray, on this machine or on a cluster."""

import gc
import logging
import os
import signal
import warnings
from collections.abc import Iterator
from contextlib import chdir, contextmanager
from pathlib import Path
from typing import Any

from hpo.config.plain_paths import is_text

# Read when Ray is imported, here and in every process that it starts.
_QUIET = {
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_TRAIN_ENABLE_V2_MIGRATION_WARNINGS": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    # Otherwise a trial of its own process writes its files into a folder that Ray deletes at the end.
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
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


def before_importing_ray() -> None:
    """Set the environment variables that Ray reads on import, except those that the user has set."""
    os.environ.update({name: value for name, value in _QUIET.items() if name not in os.environ})
    # In a notebook it asks for packages with which Ray would draw tables of its own.
    logging.getLogger("ray.widgets").setLevel(logging.WARNING)
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
