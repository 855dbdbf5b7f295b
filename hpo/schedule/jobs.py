"""Jobs of a Ray cluster: a study's driver that runs there, whatever becomes of the one who sent it."""

import logging
import os
import re
import secrets
import shlex
import socket
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from hpo.schedule.packing import packed
from hpo.schedule.tuner import before_importing_ray
from model.errors import ConfigError, UserError

if TYPE_CHECKING:
    from ray.job_submission import JobSubmissionClient

STOPPED = 130
"""Exit code of a job that somebody stopped: the one of a study stopped by Ctrl-C."""

_COMMAND = "hpo"
_TRAVELLING = ("HPO_RUNS", "HPO_CACHE", "HPO_DATA", "MLFLOW_TRACKING_URI")
# As Ctrl-C does it: the study says in its journal that it was stopped, and MLflow gets what it lacks.
_STOP = {"RAY_JOB_STOP_SIGNAL": "SIGINT", "RAY_JOB_STOP_WAIT_TIME_S": "90"}
_CONNECT_S = 10.0
_POLL_S = 1.0
_PATIENCE_S = 300.0
# Ray's client raises RuntimeError for every answer but 200, 401 and 403.
_HTTP_STATUS = re.compile(r"status code (\d{3})")


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A command that was submitted."""

    job: str
    status: str
    started: datetime | None
    command: str


class Jobs:
    """The jobs of the cluster whose dashboard is at ``address``.

    Raises:
        UserError: Nothing answers there, the token is wrong, or the cluster extra is not installed.
    """

    def __init__(self, address: str) -> None:
        self.address = address.rstrip("/")
        before_importing_ray()
        with self._told_apart():
            self._client = _connect(self.address)

    def submit(
        self, words: Sequence[str], variables: Mapping[str, str] = os.environ, *, task: str | None = None
    ) -> str:
        """Send the code and start ``hpo`` with ``words`` on the cluster; gives the job's id.

        ``task`` names a task from elsewhere that no study file among the words tells of.
        """
        job = f"hpo-{secrets.token_hex(4)}"
        with packed(words, task=task) as cargo, self._told_apart():
            self._client.submit_job(
                submission_id=job,
                entrypoint=shlex.join(["python", "-m", "hpo", *cargo.words]),
                runtime_env={**cargo.modules, "env_vars": travelling(variables) | _STOP},
                metadata={_COMMAND: shlex.join(words)},
            )
        return job

    def stop(self, job: str) -> str:
        """Stop a job as Ctrl-C would, and wait until it has ended; gives its status."""
        with self._told_apart(job):
            self._client.stop_job(job)
            while not (status := self._client.get_job_status(job)).is_terminal():
                time.sleep(_POLL_S)
            return str(status.value)

    def all(self) -> list[Job]:
        """What was submitted to this cluster by this command, the latest first."""
        with self._told_apart():
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
        """Pass on the job's log from its beginning until the job has ended.

        Args:
            job: Its id.
            write: Gets every piece of the log once.
            lost: Told when the connection is lost; it is tried again for some minutes.

        Returns:
            The exit code of the command.

        Raises:
            UserError: No such job, it could not start, or the cluster stays away.
        """
        shown, last_answer, is_lost = 0, time.monotonic(), False
        while True:
            try:
                with self._told_apart(job):
                    # Asked in this order: what has ended writes nothing more.
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

    @contextmanager
    def _told_apart(self, job: str = "") -> Iterator[None]:
        """Make errors of the client into ones that say what to do."""
        import requests
        from ray.exceptions import AuthenticationError

        try:
            yield
        except AuthenticationError:
            raise UserError(
                f"the Ray cluster at {self.address} wants a token that this command does not have",
                fix="set RAY_AUTH_TOKEN to the token of the cluster",
            ) from None
        except OSError as error:
            # Those of requests are of this kind, and put all of their inner life into words.
            why = "no connection" if isinstance(error, requests.ConnectionError) else _reason(error)
            raise self._lost(why) from error
        except RuntimeError as error:
            status = _HTTP_STATUS.search(str(error))
            if status and status[1].startswith("5"):
                # A proxy without the head behind it, or a head that is being started.
                raise self._lost(f"HTTP status {status[1]}") from error
            if job and status and status[1] == "404":
                raise UserError(
                    f"the cluster at {self.address} knows no job {job!r}", fix="see hpo submit --list"
                ) from None
            raise UserError(f"the Ray cluster refused: {_reason(error)}") from error

    def _lost(self, why: str) -> "LostConnectionError":
        return LostConnectionError(
            f"no Ray dashboard answers at {self.address} ({why})",
            fix="give --address http://HOST:8265, and see that the port is reachable from here",
        )


class LostConnectionError(UserError):
    """The cluster does not answer, or not any more."""


def travelling(variables: Mapping[str, str]) -> dict[str, str]:
    """The settings that a job takes along; the rest are the cluster's own.

    Everybody who sees the cluster's dashboard can read them.

    Raises:
        ConfigError: One holds a password.
    """
    found = {name: variables[name] for name in _TRAVELLING if variables.get(name)}
    if urlsplit(found.get("MLFLOW_TRACKING_URI", "")).password:
        raise ConfigError(
            "MLFLOW_TRACKING_URI holds a password, which a job would show to everybody on the cluster",
            fix="unset it here, and set MLFLOW_TRACKING_USERNAME and _PASSWORD on the cluster's nodes",
        )
    return found


def _connect(address: str) -> "JobSubmissionClient":
    # Ray would put RAY_ADDRESS before the address that was typed; this name it puts before that.
    os.environ["RAY_API_SERVER_ADDRESS"] = address
    try:
        import aiohttp_cors  # noqa: F401  # of ray[default]; Ray itself would complain with a traceback
        from ray.job_submission import JobSubmissionClient
    except ImportError:
        raise UserError(
            "submitting needs the extra 'cluster', which is not installed",
            fix="pip install 'hpo[cluster]', or from a checkout: pip install '.[cluster]'",
        ) from None
    _require_listener(address)
    for talkative in ("ray.dashboard.modules.dashboard_sdk", "ray._private.runtime_env.packaging"):
        logging.getLogger(talkative).setLevel(logging.WARNING)
    return JobSubmissionClient(address)


def _require_listener(address: str) -> None:
    """Refuse within seconds what Ray's client would try for minutes."""
    try:
        parts = urlsplit(address)
        port = parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError:
        parts, port = urlsplit(""), 0
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ConfigError(f"expected --address http://HOST:8265, got {address!r}")
    socket.create_connection((parts.hostname, port), timeout=_CONNECT_S).close()


def _exit_code(details: Any, job: str) -> int:
    """``details`` is Ray's record of a job that has ended."""
    if details.status.value == "STOPPED":
        return STOPPED
    if details.status.value == "FAILED" and details.driver_exit_code is None:
        raise UserError(f"job {job} did not run to its end: {_reason(details.message)}")
    return int(details.driver_exit_code or 0)


def _reason(error: object) -> str:
    """The last line, which says most."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__
