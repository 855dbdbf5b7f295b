"""Ray on this machine, started for one command and stopped with it."""

import os
import secrets
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hpo.schedule.ray_folder import RayFolder
from hpo.schedule.ray_processes import only_needed_processes
from hpo.schedule.ray_start import before_importing_ray, start_ray, stop_ray
from hpo.schedule.ray_watch import ended_when_lost
from model.errors import UserError

_SETTINGS = {
    # By default Ray listens on loopback only on Windows and macOS.
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
    # Ray's processes outlive a killed driver for as long as they look for its GCS; 60 s by default.
    "RAY_gcs_rpc_server_reconnect_timeout_s": "30",
    # Nobody reads Ray's measurements of its processes, which it takes every few seconds.
    "RAY_enable_metrics_collection": "0",
}
"""Variables that Ray reads when it is imported and started."""
_TOKENS = ("RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH", "RAY_AUTH_MODE")
"""Variables with which a user says how processes of Ray know each other."""
_VITAL = {"raylet": "raylet", "gcs_server": "gcs_server"}
"""Processes of Ray without which nothing runs -> beginning of the names of their logs."""
_PATIENCE_S = 10.0
"""Seconds that the main thread gets to notice that Ray has died."""
_LOOK_S = 1.0


class RayStartError(UserError):
    """Ray cannot start on this machine."""


class RayDiedError(UserError):
    """A process of Ray ended while a study used it."""


class WorkersLostError(UserError):
    """Ray ended processes of trials in a way that Ray Tune does not handle; a new call goes on from there."""


class RayDeath(BaseException):
    """Leaves Ray Tune when Ray has died, past its cleanup, which would wait for Ray.

    Args:
        process: Name of the process of Ray that ended.
        log: Its log.
    """

    def __init__(self, process: str, log: Path) -> None:
        super().__init__(process)
        self.process, self.log = process, log

    def error(self, study: str) -> RayDiedError:
        """Return the error for the user of ``study``."""
        return RayDiedError(
            f"Ray's process {self.process} died, so that no trial can run",
            log=self.log,
            fix=f"nothing is lost; continue with hpo resume {study}",
        )


@contextmanager
def ray_session(*, cpus: int, gpus: int, study: str = "") -> Iterator[None]:
    """Start Ray on this machine and stop it at the end; use Ray as it is if it runs already.

    Args:
        cpus: Processor cores that Ray may assign to trials.
        gpus: GPUs that Ray may assign to trials.
        study: Name of the study, for the error when Ray dies.

    Raises:
        UserError: Ray cannot start.
    """
    os.environ.update({name: value for name, value in _SETTINGS.items() if name not in os.environ})
    if "ray" not in sys.modules and not any(name in os.environ for name in _TOKENS):
        # Otherwise Ray would write a token into the user's home, which may be missing or read-only. When Ray
        # has been imported, it no longer reads these variables; only its processes would.
        os.environ["RAY_AUTH_TOKEN"] = secrets.token_hex(32)
    before_importing_ray()
    import ray

    if ray.is_initialized():
        yield
        return
    folder, has_logs_to_read = RayFolder(), False
    try:
        _start(folder.path, cpus, gpus)
        with ended_when_lost(lambda: _lost(study), every_s=_LOOK_S, after_s=_PATIENCE_S):
            yield
    except RayStartError as error:
        has_logs_to_read = "logs" in error.details
        raise
    finally:
        has_logs_to_read |= death_of_ray() is not None
        stop_ray()
        folder.keep() if has_logs_to_read else folder.delete()


def death_of_ray() -> RayDeath | None:
    """Return which process of a Ray that this process started has ended; None if all run."""
    from ray._private import worker

    node = worker._global_node
    if node is None:
        return None
    # A copy, because another thread may start or stop processes; ``Node.dead_processes`` fails then.
    for process, started in list(node.all_processes.items()):
        if process in _VITAL and any(each.process.poll() is not None for each in started):
            return RayDeath(process, Path(node.get_logs_dir_path()) / f"{_VITAL[process]}.out")
    return None


def _lost(study: str) -> UserError | None:
    death = death_of_ray()
    return None if death is None else death.error(study)


def _start(folder: Path, cpus: int, gpus: int) -> None:
    options = {"num_cpus": cpus, "num_gpus": gpus, "include_dashboard": False, "_temp_dir": str(folder)}
    try:
        with _in_sessions_of_their_own(), only_needed_processes():
            start_ray(address="local", **options)
    except Exception as error:  # Ray raises errors of many kinds when it cannot start
        logs = folder / "session_latest" / "logs"
        raise RayStartError(
            f"Ray cannot start: {type(error).__name__}: {' '.join(str(error).split())}",
            **({"logs": logs} if logs.exists() else {}),
        ) from error
    finally:
        folder.chmod(0o700)  # Ray opens it to everybody


_leave_session = threading.Event()


def _own_session() -> None:
    if _leave_session.is_set():
        os.setsid()


# Ray starts its processes with a function that runs between fork and exec, and then Python calls this too.
os.register_at_fork(after_in_child=_own_session)


@contextmanager
def _in_sessions_of_their_own() -> Iterator[None]:
    """Let processes that Ray starts leave this session, so that no signal to its process group reaches them.

    ``timeout``, Ctrl-C and a closed terminal send one to the whole group. Only the driver may act on it: it
    stops Ray when the study is recorded. If the driver is killed, the system kills Ray's processes.
    """
    _leave_session.set()
    try:
        yield
    finally:
        _leave_session.clear()
