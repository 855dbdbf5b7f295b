"""The MLflow pages on a study's own store."""

import contextlib
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

from hpo.config.environment import Environment, without_passwords
from hpo.tracking.experiment import connect
from hpo.tracking.store import answering, check_store, is_server, quiet_variables, sqlite_file
from hpo.tracking.table import VIEW, table_address
from model.errors import ConfigError, UserError

_START_S = 120.0
_STOP_S = 5.0
_LOG = "mlflow-server.log"


def serve_ui(environment: Environment, host: str, port: int, *, ready: Callable[[str], None]) -> None:
    """Serve the MLflow pages until Ctrl-C (SIGINT) or SIGTERM.

    Args:
        environment: Says which store. Of a server that runs already only the address is told.
        host: Address to listen on; MLflow answers other names than local ones only when
            ``MLFLOW_SERVER_ALLOWED_HOSTS`` lists them.
        port: Port to listen on.
        ready: Called with the address once the pages answer.

    Raises:
        UserError: There is no store yet, the port is taken, or the server does not start.
    """
    check_store(environment)
    if is_server(environment):
        ready(environment.tracking_uri)
        return
    _require_store(environment)
    _require_free_port(host, port)
    address = f"http://{host}:{port}"
    log = environment.runs / _LOG
    with _stoppable(), _server(environment, host, port, log) as server:
        _wait_until_healthy(address, server, log)
        ready(address)
        server.wait()
        raise UserError("the MLflow server ended by itself", log=log, last_words=_last_words(log))


def study_tables(address: str) -> dict[str, str]:
    """Addresses of the stages' tables on the pages at ``address``, by ``study/stage``, newest study first.

    Raises:
        UserError: The pages do not answer.
    """
    with answering(address):
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
            "there is no MLflow store yet", looked_for=file, fix="run a study first, such as hpo run bayes"
        )


def _require_free_port(host: str, port: int) -> None:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((address[0], port))
    except (OSError, OverflowError) as error:
        raise ConfigError(
            f"cannot listen on {host}:{port}: {error}", fix="choose another port with --port"
        ) from error


@contextlib.contextmanager
def _stoppable() -> Iterator[None]:
    """End the block without an error on SIGINT and SIGTERM."""

    def stop(_signal: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
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
        **os.environ,
        **quiet_variables(),
        # In a variable and not in the command, where everybody could read a data base's password.
        "MLFLOW_BACKEND_STORE_URI": environment.tracking_uri,
        "MLFLOW_DEFAULT_ARTIFACT_ROOT": (environment.runs / "artifacts").as_uri(),
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
    # The server hands signals on to its worker, which leaves at the second one even with a browser connected.
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGKILL):
        if server.poll() is None:
            server.send_signal(number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                server.wait(_STOP_S)


def _wait_until_healthy(address: str, server: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + _START_S
    while time.monotonic() < deadline:
        if server.poll() is not None:
            raise UserError("the MLflow server did not start", log=log, last_words=_last_words(log))
        with contextlib.suppress(OSError), urllib.request.urlopen(f"{address}/health", timeout=2) as answer:
            if answer.status == 200:
                return
        time.sleep(0.1)
    raise UserError(f"the MLflow server did not answer within {_START_S:g} s", log=log)


def _last_words(log: Path) -> str:
    """The last line that names an error, else the last line."""
    lines = [line.strip() for line in log.read_text(errors="replace").split("\n") if line.strip()]
    errors = [line for line in lines if "Error" in line]
    return without_passwords((errors or lines or ["none"])[-1])
