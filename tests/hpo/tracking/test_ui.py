"""The MLflow pages start with one call, say where they are and stop cleanly."""

import os
import signal
import socket
import struct
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from mlflow.server.security_utils import is_allowed_host_header, should_block_cors_request

from hpo.config.environment import Environment, read_environment
from hpo.tracking import ui
from hpo.tracking.follower import Follower
from hpo.tracking.mlflow_tracker import MlflowTracker
from hpo.tracking.store import make_store
from hpo.tracking.ui import serve_ui, study_tables
from hpo.tracking.ui_addresses import local_address, other_addresses, security_settings
from model.errors import ConfigError, UserError

SERVE = """
import sys
from hpo.config.environment import read_environment
from hpo.tracking.ui import serve_ui
environment = read_environment({"HPO_RUNS": sys.argv[1]})
serve_ui(environment, "127.0.0.1", int(sys.argv[2]), ready=lambda address: print(address, flush=True))
print("stopped")
"""


@pytest.fixture
def port() -> Iterator[int]:
    """A port that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        number = listener.getsockname()[1]
    yield number


def never(address: str) -> None:
    pytest.fail(f"{address} cannot be served")


def is_free(port: int) -> bool:
    """Whether nobody listens, within the second that a worker may take to follow its server."""
    deadline = time.monotonic() + 1
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) != 0:
                return True
    return False


def get(address: str) -> bytes:
    with urllib.request.urlopen(address, timeout=20) as answer:
        content: bytes = answer.read()
        return content


def test_without_a_store_there_is_nothing_to_show(tmp_path: Path, port: int) -> None:
    environment = read_environment({"HPO_RUNS": str(tmp_path)})
    with pytest.raises(UserError, match="the MLflow store does not exist yet"):
        serve_ui(environment, "127.0.0.1", port, ready=never)


def test_a_port_in_use_is_told(environment: Environment) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        with pytest.raises(ConfigError, match=f"cannot listen on 127.0.0.1:{port}: .*in use") as refused:
            serve_ui(environment, "127.0.0.1", port, ready=never)
    assert refused.value.details["fix"] == "use another port: --port"


@pytest.mark.parametrize(
    ("host", "port", "remedy"),
    [
        ("no.such.host.invalid", 5000, "--host"),
        ("a..b", 5000, "--host"),
        ("192.0.2.1", 5000, "--host"),
        ("127.0.0.1", 70_000, "--port"),
    ],
)
def test_an_address_that_is_none_is_told(environment: Environment, host: str, port: int, remedy: str) -> None:
    with pytest.raises(ConfigError, match=f"cannot listen on {host}:{port}") as refused:
        serve_ui(environment, host, port, ready=never)
    assert remedy in refused.value.details["fix"]


def test_of_a_server_that_runs_already_the_address_is_told(port: int) -> None:
    told: list[str] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = f"http://127.0.0.1:{listener.getsockname()[1]}"
        serve_ui(read_environment({"MLFLOW_TRACKING_URI": address}), "127.0.0.1", port, ready=told.append)
    assert told == [address]


def test_of_a_server_that_is_down_no_address_is_told(port: int) -> None:
    server = read_environment({"MLFLOW_TRACKING_URI": f"http://127.0.0.1:{port}"})
    with pytest.raises(UserError, match=f"MLflow at 127.0.0.1:{port} does not answer") as refused:
        serve_ui(server, "127.0.0.1", 5000, ready=never)
    assert refused.value.details["fix"].startswith("start the server, or set MLFLOW_TRACKING_URI")


@pytest.fixture
def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Puts a script in the place of the MLflow server, which takes 10 seconds to start."""

    def put(body: str) -> None:
        script = tmp_path / "server.py"
        script.write_text(f"#!{sys.executable}\nimport signal, socket, sys\n{body}\n")
        script.chmod(0o755)
        monkeypatch.setattr("hpo.tracking.ui.sys.executable", str(script))

    return put


HEALTHY = """
from http.server import BaseHTTPRequestHandler, HTTPServer
class Answer(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if self.path == "/health" else 404)
        self.end_headers()
host = sys.argv[sys.argv.index("--host") + 1]
HTTPServer.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
HTTPServer((host, int(sys.argv[sys.argv.index("--port") + 1])), Answer).serve_forever()
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("habit", ["", "signal.signal(signal.SIGTERM, signal.SIG_IGN)"])
def test_a_signal_stops_the_pages_and_their_server(
    environment: Environment,
    port: int,
    stand_in: Callable[[str], None],
    monkeypatch: pytest.MonkeyPatch,
    number: signal.Signals,
    habit: str,
) -> None:
    monkeypatch.setattr("hpo.tracking.ui._STOP_S", 0.3)
    stand_in(habit + HEALTHY)
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    told: list[str] = []

    def stop(address: str) -> None:
        told.append(address)
        os.kill(os.getpid(), number)

    serve_ui(environment, "127.0.0.1", port, ready=stop)
    assert told == [f"http://127.0.0.1:{port}"]
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before
    assert is_free(port)


def test_a_second_signal_leaves_no_server_behind(
    environment: Environment, port: int, stand_in: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    stand_in(HEALTHY)

    def terminate(*_arguments: object) -> None:
        os.kill(os.getpid(), signal.SIGTERM)

    def stop(server: "subprocess.Popen[bytes]") -> None:
        terminate()
        stop_server(server)

    stop_server = ui._stop
    monkeypatch.setattr(ui, "_stop", stop)
    serve_ui(environment, "127.0.0.1", port, ready=terminate)
    assert is_free(port)


def has_ipv6() -> bool:
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            return True
    except OSError:
        return False


@pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6")
@pytest.mark.parametrize("host", ["::1", "::"])
def test_an_address_of_ipv6_stands_in_brackets(
    environment: Environment, port: int, stand_in: Callable[[str], None], host: str
) -> None:
    stand_in(HEALTHY)
    told: list[str] = []

    def stop(address: str) -> None:
        told.append(address)
        os.kill(os.getpid(), signal.SIGINT)

    serve_ui(environment, host, port, ready=stop)
    assert told == [f"http://[::1]:{port}"]


@pytest.mark.parametrize(
    ("host", "local", "others"),
    [
        ("127.0.0.1", "http://127.0.0.1:5000", []),
        ("gpu01", "http://gpu01:5000", []),
        ("0.0.0.0", "http://127.0.0.1:5000", ["http://gpu01:5000", "http://gpu01.lab.org:5000"]),
        ("::", "http://[::1]:5000", ["http://gpu01:5000", "http://gpu01.lab.org:5000"]),
    ],
)
def test_browsers_use_the_pages_under_every_name_of_the_machine_that_listens(
    monkeypatch: pytest.MonkeyPatch, host: str, local: str, others: list[str]
) -> None:
    monkeypatch.setattr(socket, "gethostname", lambda: "gpu01")
    monkeypatch.setattr(socket, "getfqdn", lambda: "gpu01.lab.org")
    assert local_address(host, 5000) == local
    told = other_addresses(host, 5000)
    assert told[:2] == others  # then the address in the network, where there is one
    settings = security_settings(host, 5000)
    hosts = settings["MLFLOW_SERVER_ALLOWED_HOSTS"].split(",")
    origins = settings["MLFLOW_SERVER_CORS_ALLOWED_ORIGINS"].split(",")
    for address in [local, *told, "http://localhost:5000"]:
        assert is_allowed_host_header(hosts, address.removeprefix("http://"))
        assert not should_block_cors_request(address, "POST", origins)
    assert not is_allowed_host_header(hosts, "evil.example:5000")
    assert should_block_cors_request("http://evil.example:5000", "POST", origins)


@pytest.mark.parametrize(
    ("last", "words"),
    [
        ("print('ValueError: bad store\\n(see also: x)')", "ValueError: bad store"),
        ("print('so long')", "so long"),
    ],
)
def test_a_server_that_does_not_start_leaves_its_last_words(
    environment: Environment, port: int, stand_in: Callable[[str], None], last: str, words: str
) -> None:
    stand_in(last)
    with pytest.raises(UserError, match="the MLflow server did not start") as refused:
        serve_ui(environment, "127.0.0.1", port, ready=never)
    assert refused.value.details["last_line"] == words
    assert refused.value.details["log"] == str(environment.runs / "mlflow-server.log")


def test_a_server_that_ends_by_itself_is_told(
    environment: Environment, port: int, stand_in: Callable[[str], None]
) -> None:
    end = "self.end_headers()"
    stand_in("import os" + HEALTHY.replace(end, f"{end}; os._exit(1)"))
    with pytest.raises(UserError, match="the MLflow server exited unexpectedly"):
        serve_ui(environment, "127.0.0.1", port, ready=lambda address: None)


@pytest.mark.service
@pytest.mark.slow
def test_the_pages_show_a_study_that_was_recorded_through_them(
    follow: Callable[..., Follower], study: Any, environment: Environment, port: int, tmp_path: Path
) -> None:
    # The follower is there before the server is, as when a server is restarted.
    address = f"http://127.0.0.1:{port}"
    there = read_environment({"HPO_RUNS": str(tmp_path), "MLFLOW_TRACKING_URI": address})
    tracker = MlflowTracker(there, dataset="d", fixed={}, files_of=lambda trial: study.files)
    follower = follow(study.whole().folder, tracker, poll_s=0.1, longest_wait_s=0.5)
    server = subprocess.Popen(
        [sys.executable, "-c", SERVE, str(environment.runs), str(port)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        assert server.stdout is not None
        assert server.stdout.readline() == f"{address}\n"
        assert get(f"{address}/health") == b"OK"
        assert b"<html" in get(address)
        report = follower.close(60)
        assert (report.events_left, report.failure, report.refused) == (0, None, ())
        table = study_tables(address)[f"{study.name}/bayes"]
        assert table.endswith("/runs?viewStateShareKey=bayes&workflowType=machine_learning")
        server.send_signal(signal.SIGINT)
        assert server.communicate(timeout=30)[0] == "stopped\n"
        assert server.returncode == 0
    finally:
        server.kill()
        server.communicate()
    assert is_free(port)


@pytest.mark.service
@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="the system does not tell who listens where")
def test_pages_are_served_to_this_machine_alone_unless_told_otherwise(tmp_path: Path, port: int) -> None:
    variables = {**os.environ, "HPO_RUNS": str(tmp_path)}
    make_store(read_environment({"HPO_RUNS": str(tmp_path)}))
    command = [sys.executable, "-m", "hpo", "ui", "--port", str(port)]
    pages = subprocess.Popen(command, env=variables, stdout=subprocess.PIPE, text=True)
    try:
        assert pages.stdout is not None
        pages_of_training = f"http://127.0.0.1:{port}/#/experiments?workflowType=machine_learning"
        assert pages.stdout.readline() == f"MLflow UI: {pages_of_training}\n"
        assert listening_addresses(port) == {"127.0.0.1"}
    finally:
        pages.send_signal(signal.SIGTERM)
        pages.communicate(timeout=60)


def listening_addresses(port: int) -> set[str]:
    """Addresses of this machine, in either family, on which somebody listens to ``port``."""
    found = set()
    for family, file in ((socket.AF_INET, "/proc/net/tcp"), (socket.AF_INET6, "/proc/net/tcp6")):
        for line in Path(file).read_text().splitlines()[1:] if Path(file).exists() else ():
            local, state = line.split()[1], line.split()[3]
            address, _, number = local.partition(":")
            if state == "0A" and int(number, 16) == port:  # LISTEN
                words = struct.unpack(f"<{len(address) // 8}I", bytes.fromhex(address))
                found.add(socket.inet_ntop(family, struct.pack(f">{len(words)}I", *words)))
    return found
