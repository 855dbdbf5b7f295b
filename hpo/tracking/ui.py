"""MLflow's web pages for the local store."""

import contextlib
import errno
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from urllib.parse import urlsplit

from hpo.config.environment import Environment, reach_directly, without_passwords
from hpo.tracking.experiment import connect
from hpo.tracking.store import (
    artifact_root,
    is_server,
    make_store,
    quiet_variables,
    require_answer,
    sqlite_file,
    store_errors,
)
from hpo.tracking.table import VIEW, table_address
from hpo.tracking.ui_addresses import in_address, local_address, security_settings
from model.errors import ConfigError, UserError

_START_S = 120.0
_STOP_S = 5.0
_LOOK_S = 0.5
_LOG = "mlflow-server.log"
_OF_THE_PORT = (errno.EADDRINUSE, errno.EACCES)
"""Errors after which another port of the same address may work."""


def serve_ui(environment: Environment, host: str, port: int, *, ready: Callable[[str], None]) -> None:
    """Serve the MLflow pages until Ctrl-C (SIGINT) or SIGTERM.

    Args:
        environment: Gives the address of the store. If it is a running server, no server is started.
        host: Address to listen on. Other names than the machine's own, such as an alias, are refused unless
            ``MLFLOW_SERVER_ALLOWED_HOSTS`` and ``MLFLOW_SERVER_CORS_ALLOWED_ORIGINS`` list them.
        port: Port to listen on.
        ready: Called with the address of the pages on this machine when they answer.

    Raises:
        UserError: The store does not exist yet, its server does not answer, the address is not one of this
            machine, the port is in use, or the server of the pages does not start.
    """
    require_answer(environment)
    if is_server(environment):
        ready(environment.tracking_uri)
        return
    _require_store(environment)
    with store_errors(environment.tracking_uri):
        make_store(environment)
    _require_free_port(host, port)
    address = local_address(host, port)
    own = urlsplit(address).hostname or host
    # Programs look for either spelling among the addresses that need no proxy.
    reach_directly(*{own, in_address(own)})
    log = environment.runs / _LOG
    with _stoppable() as stopped, _server(environment, host, port, log) as server:
        _wait_until_healthy(address, server, log)
        ready(address)
        while server.poll() is None and not stopped():
            with contextlib.suppress(subprocess.TimeoutExpired):
                server.wait(_LOOK_S)
        if not stopped():
            raise UserError("the MLflow server exited unexpectedly", log=log, last_line=_last_error(log))


def study_tables(address: str) -> dict[str, str]:
    """Return the addresses of all stages' tables on the MLflow pages at ``address``.

    The keys are ``study/stage``, newest study first.

    Raises:
        UserError: The pages do not answer.
    """
    with store_errors(address):
        experiments = connect(address).search_experiments(max_results=1000, order_by=["creation_time DESC"])
    shown = without_passwords(address)
    return {
        f"{experiment.name}/{stage}": table_address(shown, experiment.experiment_id, stage)
        for experiment in experiments
        for tag in experiment.tags
        if (stage := tag.removeprefix(VIEW)) != tag
    }


def _require_store(environment: Environment) -> None:
    file = sqlite_file(environment)
    if file is not None and not file.exists():
        raise UserError(
            "the MLflow store does not exist yet", looked_for=file, fix="run a study first: hpo run bayes"
        )


def _require_free_port(host: str, port: int) -> None:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((address[0], port))
    except (OSError, OverflowError, UnicodeError) as error:  # the last for what no name can be, such as a..b
        is_port = isinstance(error, OverflowError) or getattr(error, "errno", None) in _OF_THE_PORT
        raise ConfigError(
            f"cannot listen on {in_address(host)}:{port}: {error}",
            fix="use another port: --port"
            if is_port
            else "give an address of this machine: --host 127.0.0.1, or for all its networks --host 0.0.0.0",
        ) from error


@contextlib.contextmanager
def _stoppable() -> Iterator[Callable[[], bool]]:
    """End the block without an error on the first SIGINT or SIGTERM; more of them do not disturb its end.

    Yields:
        Whether a signal has come, for one that comes while Python ignores errors, as it does when it deletes
        an object.
    """
    arrived = False

    def stop(_signal: int, _frame: FrameType | None) -> None:
        nonlocal arrived  # no lock: a second signal may come while this function runs for the first one
        if not arrived:
            arrived = True
            raise KeyboardInterrupt

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: arrived
    except KeyboardInterrupt:
        pass
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def _server(environment: Environment, host: str, port: int, log: Path) -> Iterator["subprocess.Popen[bytes]"]:
    command = [
        sys.executable,
        "-m",
        "mlflow",
        "server",
        "--host",
        host,
        "--port",
        str(port),
        "--workers",
        "1",
    ]
    variables = {
        **security_settings(host, port),
        **os.environ,
        **quiet_variables(),
        # Not in the command line, where other users could read a database password.
        "MLFLOW_BACKEND_STORE_URI": environment.tracking_uri,
        "MLFLOW_DEFAULT_ARTIFACT_ROOT": artifact_root(environment),
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    }
    with log.open("wb") as output:
        server = subprocess.Popen(
            command, env=variables, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT
        )
    try:
        yield server
    finally:
        _stop(server)


def _stop(server: "subprocess.Popen[bytes]") -> None:
    # The server passes signals on to its worker, which exits at the second one even with open connections.
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGKILL):
        if server.poll() is None:
            server.send_signal(number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                server.wait(_STOP_S)


def _wait_until_healthy(address: str, server: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + _START_S
    while time.monotonic() < deadline:
        if server.poll() is not None:
            raise UserError("the MLflow server did not start", log=log, last_line=_last_error(log))
        with contextlib.suppress(OSError), urllib.request.urlopen(f"{address}/health", timeout=2) as answer:
            if answer.status == 200:
                return
        time.sleep(0.1)
    raise UserError(f"the MLflow server did not answer within {_START_S:g} s", log=log)


def _last_error(log: Path) -> str:
    """Return the last line with an error in a log, else its last line."""
    lines = [line.strip() for line in log.read_text(errors="replace").split("\n") if line.strip()]
    errors = [line for line in lines if "Error" in line]
    return without_passwords((errors or lines or ["none"])[-1])
