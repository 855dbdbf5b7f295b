"""The service as plain processes on loopback, started by the very commands of ``docker/``."""

import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import mkdtemp

import pytest
from deployment.docker_files import (
    DOCKER,
    command_of,
    example_variables,
    health_check_of,
    interpolated,
    variables_of,
)
from e2e.processes import descendants
from waiting import wait_until

_BESIDE_PYTHON = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def wait_for(
    what: str, holds: Callable[[], bool], processes: Sequence["Process"], timeout_s: float = 90
) -> None:
    """Poll; a process that ends meanwhile shows its last words."""
    stop = time.monotonic() + timeout_s
    while not holds():
        for process in processes:
            assert process.running, f"{process.name} ended:\n{process.log()[-3000:]}"
        assert time.monotonic() < stop, f"{what} did not come:\n" + "\n".join(
            f"{process.name}: {process.log()[-1500:]}" for process in processes
        )
        time.sleep(0.2)


def answers(address: str, headers: Mapping[str, str] | None = None) -> bytes | None:
    """The body at an address; None while there is none."""
    with suppress(OSError):
        request = urllib.request.Request(address, headers=dict(headers or {}))
        with urllib.request.urlopen(request, timeout=5) as answer:
            body: bytes = answer.read()
            return body
    return None


def passes(command: Sequence[str], variables: Mapping[str, str]) -> bool:
    """Whether a health check succeeds."""
    return subprocess.run(command, env=variables, capture_output=True, check=False).returncode == 0


class Process:
    """A server in a process group of its own, its output in a file."""

    def __init__(self, name: str, command: Sequence[str], variables: Mapping[str, str], folder: Path) -> None:
        self.name = name
        self._file = folder / f"{name}.log"
        kept = {
            key: value
            for key, value in os.environ.items()
            if not key.startswith(("HPO_", "MLFLOW_", "RAY_", "PG", "PYTHONPATH"))
        }
        with self._file.open("wb") as output:
            self._process = subprocess.Popen(
                list(command),
                env={**kept, "PATH": _BESIDE_PYTHON, **variables},
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process.poll() is None

    def log(self) -> str:
        return self._file.read_text(errors="replace")

    def stop(self) -> None:
        """As a container engine does: SIGTERM, then SIGKILL to all that is left."""
        self.terminate()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=20)
        self.kill()

    def terminate(self) -> None:
        """SIGTERM, without waiting for the end."""
        if self.running:
            self._process.terminate()

    def kill(self) -> None:
        """SIGKILL to it and all that it started; some of that has groups of its own."""
        mine = descendants(self.pid)
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        for number in mine:
            with suppress(ProcessLookupError):
                os.kill(number, signal.SIGKILL)
        self._process.wait(timeout=20)
        # A data base does not start while there is a process of the number that its last one had.
        wait_until(lambda: not any(Path(f"/proc/{number}").exists() for number in mine), timeout_s=20)


@dataclass
class Postgres:
    """A data base server of its own; Debian's programs, which refuse to run as root."""

    port: int = field(default_factory=free_port)
    password: str = field(default_factory=lambda: secrets.token_hex(16))
    _as_user: list[str] = field(default_factory=list)
    _folder: Path = Path()

    def make(self, stack: ExitStack) -> None:
        """Lay out an empty data base."""
        folder = Path(mkdtemp(prefix="hpo-pg-"))
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        (folder / "password").write_text(self.password)
        if os.getuid() == 0:
            user = pwd.getpwnam("postgres")
            self._as_user = ["runuser", "--user", "postgres", "--"]
            for path in (folder, folder / "password"):
                os.chown(path, user.pw_uid, user.pw_gid)
        words = ["--username=mlflow", "--auth=scram-sha-256", f"--pwfile={folder / 'password'}", "--no-sync"]
        made = subprocess.run(
            [*self._as_user, _postgres_programs() / "initdb", *words, folder / "data"],
            capture_output=True,
            text=True,
            check=False,
            cwd=folder,
        )
        assert made.returncode == 0, made.stderr
        self._folder = folder

    def start(self, stack: ExitStack) -> Process:
        """Serve it; after a kill what was written is there again."""
        programs, folder = _postgres_programs(), self._folder
        serve = [f"--port={self.port}", "--listen_addresses=127.0.0.1", f"--unix_socket_directories={folder}"]
        command = [*self._as_user, str(programs / "postgres"), "-D", str(folder / "data"), *serve]
        process = Process("postgres", command, {}, folder)
        stack.callback(process.stop)
        ready = [programs / "pg_isready", "--host=127.0.0.1", f"--port={self.port}"]
        wait_for(
            "PostgreSQL",
            lambda: subprocess.run(ready, capture_output=True, check=False).returncode == 0,
            [process],
        )
        return process


@dataclass
class Mlflow:
    """What ``mlflow.Dockerfile`` starts, on a data base."""

    postgres: Postgres
    artifacts: Path
    port: int = field(default_factory=free_port)
    password: str = field(default_factory=lambda: f"planted-{secrets.token_hex(12)}")

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def client_variables(self) -> dict[str, str]:
        return {
            "MLFLOW_TRACKING_URI": self.address,
            "MLFLOW_TRACKING_USERNAME": "admin",
            "MLFLOW_TRACKING_PASSWORD": self.password,
        }

    def start(self, folder: Path, stack: ExitStack) -> Process:
        variables = {
            **variables_of("mlflow.Dockerfile"),
            **interpolated("compose.yaml", self._filled())["services"]["mlflow"]["environment"],
            "PGHOST": "127.0.0.1",
            "PGPORT": str(self.postgres.port),
            "PGDATABASE": "postgres",
            "MLFLOW_HOST": "127.0.0.1",
            "MLFLOW_PORT": str(self.port),
            "MLFLOW_ARTIFACTS_DESTINATION": str(self.artifacts),
            "MLFLOW_AUTH_CONFIG_PATH": str(DOCKER / "mlflow-auth.ini"),
            "MLFLOW_SERVER_ALLOWED_HOSTS": f"127.0.0.1:{self.port}",
        }
        process = Process("mlflow", command_of("mlflow.Dockerfile"), variables, folder)
        stack.callback(process.stop)
        return process

    def is_healthy(self, port: int) -> bool:
        """What its container would be told of a server at ``port``."""
        command = [word.replace(":5000", f":{port}") for word in health_check_of("mlflow.Dockerfile")]
        return passes(command, {"PATH": _BESIDE_PYTHON})

    def _filled(self) -> dict[str, str]:
        return dict.fromkeys(example_variables(), "unused") | {
            "POSTGRES_PASSWORD": self.postgres.password,
            "MLFLOW_ADMIN_PASSWORD": self.password,
            "MLFLOW_SECRET_KEY": secrets.token_hex(16),
        }


@dataclass
class RayCluster:
    """A head and workers, started as ``compose.yaml`` starts them."""

    folder: Path
    """Studies and cache: what every node sees."""
    port: int = field(default_factory=free_port)
    dashboard_port: int = field(default_factory=free_port)
    token: str = field(default_factory=lambda: secrets.token_hex(16))

    @property
    def dashboard(self) -> str:
        return f"http://127.0.0.1:{self.dashboard_port}"

    def start_head(self, variables: Mapping[str, str], stack: ExitStack) -> Process:
        temporary = Path(mkdtemp(prefix="hpo-ray-"))  # sockets lie in it: their paths must be short
        stack.callback(shutil.rmtree, temporary, ignore_errors=True)
        command = self._command(
            "ray-head",
            {
                "--port=6379": f"--port={self.port}",
                "--dashboard-host=0.0.0.0": "--dashboard-host=127.0.0.1",
                "--dashboard-port=8265": f"--dashboard-port={self.dashboard_port}",
            },
        )
        own = [f"--temp-dir={temporary}", f"--ray-client-server-port={free_port()}", *_agent()]
        # By itself Ray takes half a minute to give a node up.
        patience = {"RAY_health_check_period_ms": "1000", "RAY_health_check_failure_threshold": "3"}
        return self._node("ray-head", [*command, *own], {**variables, **patience}, stack)

    def start_worker(self, name: str, stack: ExitStack, *, inside: Sequence[str] = ()) -> Process:
        command = self._command("ray-worker", {"--address=ray-head:6379": f"--address=127.0.0.1:{self.port}"})
        return self._node(name, [*inside, *command, "--num-cpus=1", *_agent()], {}, stack)

    def nodes(self) -> int:
        """How many are there."""
        body = answers(f"{self.dashboard}/nodes?view=summary", {"Authorization": f"Bearer {self.token}"})
        return body.count(b'"state": "ALIVE"') if body else 0

    def is_healthy(self, service: str, port: int) -> bool:
        """What the container of a service would be told of a head at ``port``."""
        filled = dict.fromkeys(example_variables(), "unused")
        kind, *words = interpolated("compose.yaml", filled)["services"][service]["healthcheck"]["test"]
        assert kind == "CMD" and words[-1] in ("127.0.0.1:6379", "ray-head:6379")
        image = variables_of("hpo.Dockerfile") | {"PATH": _BESIDE_PYTHON, "RAY_AUTH_TOKEN": self.token}
        return passes([*words[:-1], f"127.0.0.1:{port}"], image)

    def _node(self, name: str, command: list[str], variables: Mapping[str, str], stack: ExitStack) -> Process:
        image = variables_of("hpo.Dockerfile") | {
            "PATH": _BESIDE_PYTHON,
            "HPO_RUNS": str(self.folder / "runs"),
            "HPO_CACHE": str(self.folder / "cache"),
            "RAY_AUTH_TOKEN": self.token,
            "PYTHONPATH": str(self._older_installation()),
        }
        process = Process(name, command, {**image, **variables}, self.folder)
        stack.callback(process.stop)
        return process

    def _command(self, service: str, changes: Mapping[str, str]) -> list[str]:
        filled = dict.fromkeys(example_variables(), "unused")
        words: list[str] = interpolated("compose.yaml", filled)["services"][service]["command"]
        assert set(changes) <= set(words)
        return [changes.get(word, word) for word in words]

    def _older_installation(self) -> Path:
        """What the nodes have installed; whoever uses it instead of the code that was sent fails."""
        package = self.folder / "installed" / "hpo"
        package.mkdir(parents=True, exist_ok=True)
        (package / "__init__.py").write_text("raise ImportError('the code of the nodes was used')\n")
        return package.parent


def _agent() -> list[str]:
    """Every Ray wants the same port for what starts jobs on a node; who comes second takes no jobs."""
    return [f"--dashboard-agent-listen-port={free_port()}"]


def _postgres_programs() -> Path:
    """Debian keeps them out of the path."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if not found:
        pytest.skip("PostgreSQL is not installed: apt-get install postgresql")
    return found[-1].parent
