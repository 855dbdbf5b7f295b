"""Jobs on a Ray cluster: submit a study's driver, follow its log, list and stop jobs."""

import logging
import os
import re
import secrets
import shlex
import shutil
import socket
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from hpo.config.environment import has_password, require_readable_store
from hpo.schedule.code_package import packaged_code
from hpo.schedule.ray_start import before_importing_ray
from model.errors import ConfigError, UserError
from model.shell import shell_line

if TYPE_CHECKING:
    from ray.job_submission import JobSubmissionClient

STOPPED = 130
"""Exit code for a stopped job, equal to that of a study stopped by Ctrl-C."""

_COMMAND = "hpo"
_STORE = "MLFLOW_TRACKING_URI"
_SQLITE = "sqlite:///"
_JOB_VARIABLES = ("HPO_RUNS", "HPO_CACHE", "HPO_DATA", _STORE)
# SIGINT, like Ctrl-C: the study records the interruption in its journal and completes its records in MLflow.
_STOP = {"RAY_JOB_STOP_SIGNAL": "SIGINT", "RAY_JOB_STOP_WAIT_TIME_S": "90"}
_CONNECT_S = 10.0
_POLL_S = 1.0
_PATIENCE_S = 300.0
# Ray's client raises RuntimeError for every answer but 200, 401 and 403.
_HTTP_STATUS = re.compile(r"status code (\d{3})")


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A submitted command."""

    job: str
    """Id of the job."""
    status: str
    """Ray's status, such as ``RUNNING``."""
    started: datetime | None
    """Start of the job in UTC; None before it."""
    command: str
    """Command line without ``hpo``."""


class Jobs:
    """Client for the jobs of the cluster whose Ray dashboard is at ``address``.

    Raises:
        UserError: The dashboard does not answer, the token is wrong, or the extra ``cluster`` is missing.
    """

    def __init__(self, address: str) -> None:
        self.address = address.rstrip("/")
        before_importing_ray()
        with self._clear_errors():
            self._client = _connect(self.address)

    def submit(
        self, arguments: Sequence[str], variables: Mapping[str, str] = os.environ, *, task: str | None = None
    ) -> str:
        """Send the code to the cluster and run ``hpo`` there.

        Args:
            arguments: Arguments of ``hpo``.
            variables: Environment variables; the job gets those of ``job_variables``.
            task: Name of the study's task. Needed for a task outside this package if ``arguments`` does not
                name a study file.

        Returns:
            The id of the job.
        """
        job = f"hpo-{secrets.token_hex(4)}"
        with packaged_code(arguments, task=task) as package, self._clear_errors():
            code = [self._sendable(code) for code in package.packages]
            self._client.submit_job(
                submission_id=job,
                entrypoint=shlex.join(["python", "-m", "hpo", *package.arguments]),
                runtime_env={"py_modules": code, "env_vars": job_variables(variables) | _STOP},
                metadata={_COMMAND: shlex.join(arguments)},
            )
        return job

    def stop(self, job: str) -> str:
        """Stop a job like Ctrl-C, wait until it has ended, and return its status."""
        with self._clear_errors(job):
            self._client.stop_job(job)
            while not (status := self._client.get_job_status(job)).is_terminal():
                time.sleep(_POLL_S)
            return str(status.value)

    def all(self) -> list[Job]:
        """Return the jobs that ``hpo submit`` has started on this cluster, latest first."""
        with self._clear_errors():
            found = [job for job in self._client.list_jobs() if _COMMAND in (job.metadata or {})]
        jobs = [
            Job(
                job=job.submission_id,
                status=job.status.value,
                started=datetime.fromtimestamp(job.start_time / 1000, UTC) if job.start_time else None,
                command=job.metadata[_COMMAND],
            )
            for job in found
        ]
        return sorted(jobs, key=lambda job: str(job.started), reverse=True)

    def follow(self, job: str, write: Callable[[str], None], lost: Callable[[str], None]) -> int:
        """Follow the log of a job from its beginning until the job has ended.

        Args:
            job: Id of the job.
            write: Called with every new part of the log.
            lost: Called with the reason when the connection is lost. It is retried for five minutes.

        Returns:
            The exit code of the command.

        Raises:
            UserError: The job does not exist or could not start, or the connection stays lost.
        """
        shown, last_answer, is_lost = 0, time.monotonic(), False
        while True:
            try:
                with self._clear_errors(job):
                    # In this order, so that the log of a job that has ended is complete.
                    details = self._client.get_job_info(job)
                    log = self._client.get_job_logs(job)
            except LostConnectionError as error:
                if time.monotonic() - last_answer > _PATIENCE_S:
                    raise
                if not is_lost:
                    lost(error.message)
                is_lost = True
            else:
                last_answer, is_lost = time.monotonic(), False
                write(log[shown:])
                shown = len(log)
                if details.status.is_terminal():
                    return _exit_code(details, job)
            time.sleep(_POLL_S)

    def _sendable(self, code: Path) -> str:
        """Return what stands for a package or a module in the ``py_modules`` of a job.

        Ray's client for jobs refuses a module that is a file. A folder is not enough: Ray puts the folder
        above it on Python's path. The URI of a package without that folder has the file at its top.
        """
        if code.is_dir():
            return str(code)
        with TemporaryDirectory(prefix="hpo-") as folder:
            shutil.copy(code, folder)
            uri: str = self._client._upload_package_if_needed(
                folder, include_gitignore=False, include_parent_dir=False
            )
        return uri

    @contextmanager
    def _clear_errors(self, job: str = "") -> Iterator[None]:
        """Replace errors of Ray's client by errors that say what to do."""
        import requests
        from ray.exceptions import AuthenticationError

        try:
            yield
        except AuthenticationError:
            raise UserError(
                f"the Ray cluster at {self.address} needs a token, which is missing or wrong",
                fix="set RAY_AUTH_TOKEN to the token of the cluster",
            ) from None
        except OSError as error:
            # Errors of requests are OSErrors whose messages contain internals.
            why = "no connection" if isinstance(error, requests.ConnectionError) else _reason(error)
            raise self._lost(why) from error
        except RuntimeError as error:
            status = _HTTP_STATUS.search(str(error))
            if status and status[1].startswith("5"):
                # A proxy without a running head behind it.
                raise self._lost(f"HTTP status {status[1]}") from error
            if job and status and status[1] == "404":
                listing = shell_line("hpo", "submit", "--address", self.address, "--list")
                raise UserError(
                    f"the cluster at {self.address} has no job {job!r}", fix=f"list the jobs with: {listing}"
                ) from None
            raise UserError(f"the Ray cluster refused the request: {_reason(error)}") from error

    def _lost(self, why: str) -> "LostConnectionError":
        return LostConnectionError(
            f"no Ray dashboard answers at {self.address} ({why})",
            fix="use --address http://HOST:8265, and check that the port can be reached from this machine",
        )


class LostConnectionError(UserError):
    """The cluster does not answer, or no longer answers."""


def job_variables(variables: Mapping[str, str]) -> dict[str, str]:
    """Select the environment variables that a job gets; all others are those of the cluster.

    Everybody who can open the cluster's dashboard can read them.

    Raises:
        ConfigError: A variable contains a password, a path that would be another one on the cluster, or no
            address.
    """
    found = {name: variables[name] for name in _JOB_VARIABLES if variables.get(name)}
    for name, value in found.items():
        if _is_relative(name, value):
            raise ConfigError(
                f"{name}={value} is relative to a folder of this machine, but a job has its own working "
                "directory",
                fix="give the whole path, as the nodes of the cluster see it",
            )
    store = found.get(_STORE, "")
    require_readable_store(store)
    if has_password(store):
        raise ConfigError(
            "MLFLOW_TRACKING_URI contains a password, which a job would show to everybody on the cluster",
            fix="unset it here, and set it on the nodes of the cluster",
        )
    return found


def _is_relative(name: str, value: str) -> bool:
    if name == _STORE:
        return value.startswith(_SQLITE) and not value.removeprefix(_SQLITE).startswith("/")
    return not value.startswith(("/", "~"))


def _connect(address: str) -> "JobSubmissionClient":
    # Ray prefers RAY_ADDRESS to the address argument, and this variable to RAY_ADDRESS.
    os.environ["RAY_API_SERVER_ADDRESS"] = address
    try:
        import aiohttp_cors  # noqa: F401  # of ray[default]; Ray itself would raise with a traceback
        from ray.job_submission import JobSubmissionClient
    except ImportError:
        raise UserError(
            "hpo submit needs the extra 'cluster', which is not installed",
            fix="pip install 'hpo[cluster]', or from a checkout: pip install '.[cluster]'",
        ) from None
    _require_listener(address)
    for talkative in ("ray.dashboard.modules.dashboard_sdk", "ray._private.runtime_env.packaging"):
        logging.getLogger(talkative).setLevel(logging.WARNING)
    return JobSubmissionClient(address)


def _require_listener(address: str) -> None:
    """Raise within seconds where Ray's client would retry for minutes."""
    try:
        parts = urlsplit(address)
        port = parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError:
        parts, port = urlsplit(""), 0
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ConfigError(f"expected --address http://HOST:8265, got {address!r}")
    socket.create_connection((parts.hostname, port), timeout=_CONNECT_S).close()


def _exit_code(details: Any, job: str) -> int:
    """Return the exit code of a job that has ended; ``details`` is Ray's record of it."""
    if details.status.value == "STOPPED":
        return STOPPED
    if details.status.value == "FAILED" and details.driver_exit_code is None:
        raise UserError(f"job {job} failed before its command ended: {_reason(details.message)}")
    return int(details.driver_exit_code or 0)


def _reason(error: object) -> str:
    """Return the last line of an error message, which says most."""
    lines = [line.strip() for line in str(error or "").splitlines() if line.strip()]
    unsaid = type(error).__name__ if isinstance(error, Exception) else "no reason given"
    return lines[-1] if lines else unsaid
