"""Container engines: docker or podman with compose, or buildah alone."""

import os
import shutil
import subprocess
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from pathlib import Path

HEALTHY_S = 300.0
"""Seconds within which a service must be healthy."""
Finished = subprocess.CompletedProcess[str]


class CheckError(Exception):
    """Something is not as it should be; the message says what."""


class Engine(ABC):
    """Builds the images, and runs the services of ``compose.yaml``."""

    remarks: Sequence[str] = ()
    """Differences from ``docker compose up``."""

    @abstractmethod
    def build(self, step: "Callable[[str], None]") -> None:
        """Build both images; call ``step`` with a name after each part."""

    @abstractmethod
    def prepare(self, words: Sequence[str]) -> Finished:
        """Run a command in the image of the head, where it can write to the folder of games, as /data."""

    @abstractmethod
    def start(self, step: "Callable[[str], None]") -> None:
        """Start all services, with two workers; wait until all are healthy."""

    @abstractmethod
    def within(self, service: str, words: Sequence[str]) -> list[str]:
        """Return the command that runs ``words`` in the container of a service that was started."""

    @abstractmethod
    def stop(self) -> None:
        """Stop everything, and delete what was made."""

    def execute(self, service: str, words: Sequence[str]) -> Finished:
        """Run ``words`` in the container of a service to the end."""
        return run(self.within(service, words))


class Compose(Engine):
    """``docker compose`` or ``podman compose``."""

    remarks = ("the images stay in the engine's store",)

    def __init__(self, program: str, folder: Path, variables: dict[str, str]) -> None:
        self._games = Path(variables["HPO_DATA_DIR"])
        filled = folder / "filled.env"
        filled.write_text("".join(f"{name}={value}\n" for name, value in variables.items()))
        filled.chmod(0o600)
        file = Path(__file__).resolve().parents[1] / "compose.yaml"
        project = f"hpo-check-{os.getpid()}"
        self._compose = [program, "compose", "--file", str(file), "--env-file", str(filled)]
        self._compose += ["--project-name", project]

    def build(self, step: Callable[[str], None]) -> None:
        """Build both images."""
        required([*self._compose, "build"])
        step("images built")

    def prepare(self, words: Sequence[str]) -> Finished:
        """Run a command in a container of its own."""
        options = ["--rm", "--no-deps", "--volume", f"{self._games}:/made"]
        return run([*self._compose, "run", *options, "ray-head", *words])

    def start(self, step: Callable[[str], None]) -> None:
        """Start all services and wait."""
        limit = ["--wait-timeout", f"{HEALTHY_S:.0f}"]
        required([*self._compose, "up", "--no-build", "--wait", *limit, "--scale", "ray-worker=2"])
        step("services healthy")

    def within(self, service: str, words: Sequence[str]) -> list[str]:
        """Return the command that runs ``words`` in a service's container."""
        return [*self._compose, "exec", "-T", service, *words]

    def stop(self) -> None:
        """Stop all services; delete containers, networks and volumes."""
        required([*self._compose, "down", "--volumes", "--timeout", "20"])


def run(words: Sequence[str]) -> Finished:
    """Run a command to the end."""
    return subprocess.run(
        list(words), capture_output=True, text=True, errors="replace", check=False, stdin=subprocess.DEVNULL
    )


def required(words: Sequence[str]) -> Finished:
    """Run a command that must succeed."""
    done = run(words)
    if done.returncode != 0:
        output = f"{done.stdout}\n{done.stderr}".strip()
        raise CheckError(f"{' '.join(words)} ended with exit code {done.returncode}:\n{output[-3000:]}")
    return done


def wait_for(what: str, holds: Callable[[], bool], *, limit_s: float = HEALTHY_S) -> None:
    """Poll until ``holds``."""
    stop = time.monotonic() + limit_s
    while not holds():
        if time.monotonic() > stop:
            raise CheckError(f"{what} did not come within {limit_s:.0f} s")
        time.sleep(1.0)


def compose_program() -> str | None:
    """Return docker or podman if it can run compose files here."""
    for program in ("docker", "podman"):
        answers = shutil.which(program) and run([program, "info"]).returncode == 0
        if answers and run([program, "compose", "version"]).returncode == 0:
            return program
    return None


def missing_for_buildah() -> list[str]:
    """Return the programs and rights that are missing to run the images with buildah."""
    programs = ("buildah", "debootstrap", "unshare", "nsenter", "ip")
    missing = [program for program in programs if shutil.which(program) is None]
    return missing + (["the rights of root"] if os.geteuid() != 0 else [])
