"""The check of the images, with programs that only note what they are told in place of container engines."""

import json
import shutil
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from deployment.docker_files import DOCKER, asked_variables, example_variables, interpolated
from image_check.__main__ import NO_ENGINE, chosen_engine, filled_variables
from image_check.buildah import Buildah
from image_check.compose import read_services, variable_names
from image_check.engines import CheckError, Compose

FILLED = {name: f"/filled-{name.lower()}" for name in example_variables()}
# Notes its arguments, and answers like an image with an entrypoint and a health check of its own.
PROGRAM = """#!{python}
import json, os, sys, time
with open({notes!r}, "a") as notes:
    notes.write(json.dumps(sys.argv[1:]) + "\\n")
config = {{"Entrypoint": ["enter"], "Cmd": ["serve"], "Healthcheck": {{"Test": ["CMD", "ask"]}}}}
print(json.dumps({{"Docker": {{"config": config}}}}))
while {lives} and "enter" in sys.argv and not os.path.exists({end!r}):
    time.sleep(0.02)
sys.exit({code})
"""


@pytest.fixture
def program(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., Callable[[], list[list[str]]]]]:
    """Puts a program of a name into an otherwise empty PATH; gives what was noted."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))

    end = tmp_path / "end"

    def put(name: str, code: int = 0, *, lives: bool = False) -> Callable[[], list[list[str]]]:
        notes = tmp_path / f"{name}.jsonl"
        facts = {"python": sys.executable, "notes": str(notes), "code": code, "lives": lives, "end": str(end)}
        (folder / name).write_text(PROGRAM.format(**facts))
        (folder / name).chmod(0o755)
        return lambda: [json.loads(line) for line in notes.read_text().splitlines()]

    yield put
    end.touch()


def compose_services() -> dict[str, Any]:
    services: dict[str, Any] = interpolated("compose.yaml", FILLED)["services"]
    return services


def test_services_are_those_of_compose_yaml_in_the_order_of_their_start() -> None:
    services, expected = read_services(FILLED), compose_services()
    assert [service.name for service in services] == ["postgres", "mlflow", "ray-head", "ray-worker"]
    for service in services:
        entry = expected[service.name]
        assert list(service.command) == entry.get("command", [])
        assert service.environment == entry.get("environment", {})
        assert ["CMD", *service.health] == entry.get("healthcheck", {"test": ["CMD"]})["test"]
        assert service.dockerfile == entry.get("build", {}).get("dockerfile")
        assert len(service.mounts) == len(entry["volumes"])
        assert [mount.read_only for mount in service.mounts] == [
            isinstance(mount, dict) and mount.get("read_only", False) for mount in entry["volumes"]
        ]


def test_what_is_changed_in_the_file_is_what_runs(tmp_path: Path) -> None:
    file = tmp_path / "compose.yaml"
    text = (DOCKER / "compose.yaml").read_text()
    file.write_text(text.replace("- --num-gpus=0", "- --num-gpus=7").replace("/studies", "/elsewhere"))
    head = read_services(FILLED, file)[2]
    assert "--num-gpus=7" in head.command
    assert head.mounts[0].target == "/elsewhere"


def test_every_variable_is_filled_and_without_one_nothing_is_read(tmp_path: Path) -> None:
    assert variable_names() == asked_variables("compose.yaml")
    filled = filled_variables(tmp_path)
    assert set(filled) == variable_names() and all(filled.values())
    assert len(set(filled.values())) == len(filled)
    with pytest.raises(LookupError, match="fill in RAY_AUTH_TOKEN"):
        read_services({**FILLED, "RAY_AUTH_TOKEN": ""})


def test_buildah_runs_what_compose_yaml_says(
    tmp_path: Path, program: Callable[..., Callable[[], list[list[str]]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    noted = program("buildah", lives=True)
    monkeypatch.setattr(Buildah, "_enter", lambda self: self._logs.mkdir())
    monkeypatch.setattr("image_check.buildah.os.chown", lambda *_: None)
    games = tmp_path / "games"
    (tmp_path / "work").mkdir()
    services = {service.name: service for service in read_services({**FILLED, "HPO_DATA_DIR": str(games)})}
    engine = Buildah(tmp_path / "work", {**FILLED, "HPO_DATA_DIR": str(games)})
    steps: list[str] = []
    engine.start(steps.append)
    assert steps == [
        f"{name} healthy" for name in ("postgres", "mlflow", "ray-head", "ray-worker-1", "ray-worker-2")
    ]

    def runs(container: str) -> list[list[str]]:
        """What ran in a container: a service, which may note it late, and the question about its health."""
        own: list[list[str]] = []
        deadline = time.monotonic() + 60
        while len(own) < 2 and time.monotonic() < deadline:
            own = [words for words in noted() if "run" in words and container in words]
            time.sleep(0.02)
        return [words[words.index("--") + 1 :] for words in own]

    assert sorted(runs("mlflow")) == [["ask"], ["enter", "serve"]]
    for name in ("ray-head", "ray-worker-1", "ray-worker-2"):
        service = services[name.removesuffix("-1").removesuffix("-2")]
        assert sorted(runs(name)) == sorted([["enter", *service.command], list(service.health)])
        words = next(words for words in noted() if "run" in words and name in words)
        assert f"{games}:/data:ro" in words
        assert f"{tmp_path / 'work' / 'volumes' / 'studies'}:/studies" in words
        variables = [
            words[words.index("--env") + 1] for words in noted() if words[-1] == name and "--env" in words
        ]
        assert variables == [f"{key}={value}" for key, value in service.environment.items()]
    made = [words for words in noted() if "from" in words]
    assert all(f"--add-host={name}:127.0.0.1" in words for name in services for words in made)
    engine.stop()
    removed = {words[-1] for words in noted() if "rm" in words}
    assert removed == {"postgres", "mlflow", "ray-head", "ray-worker-1", "ray-worker-2"}
    assert not (tmp_path / "work" / "volumes").exists()


def test_a_service_that_ends_is_told_with_its_last_words(
    tmp_path: Path, program: Callable[..., Callable[[], list[list[str]]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    program("buildah")
    monkeypatch.setattr(Buildah, "_enter", lambda self: self._logs.mkdir())
    monkeypatch.setattr("image_check.buildah.os.chown", lambda *_: None)
    engine = Buildah(tmp_path, FILLED)
    monkeypatch.setattr(
        "image_check.buildah.wait_for", lambda what, holds: [holds() for _ in iter(lambda: False, True)]
    )
    with pytest.raises(CheckError, match=r"postgres ended:\n.*Entrypoint"):
        engine.start(lambda step: None)


def test_compose_is_given_the_file_and_secrets_only_in_a_file_of_the_owner(
    tmp_path: Path, program: Callable[..., Callable[[], list[list[str]]]]
) -> None:
    noted = program("docker")
    engine = chosen_engine(tmp_path, FILLED)
    assert isinstance(engine, Compose)
    engine.build(lambda step: None)
    engine.start(lambda step: None)
    engine.execute("ray-head", ["hpo", "--help"])
    engine.stop()
    calls = [words for words in noted() if "--project-name" in words]
    verbs = ["build", "up", "exec", "down"]
    assert [next(verb for verb in verbs if verb in words) for words in calls] == verbs
    for words in calls:
        assert words[words.index("--file") + 1] == str(DOCKER / "compose.yaml")
        assert FILLED["RAY_AUTH_TOKEN"] not in words
    assert "ray-worker=2" in calls[1] and "--wait" in calls[1]
    assert calls[2][-4:] == ["-T", "ray-head", "hpo", "--help"]
    assert "--volumes" in calls[3]
    filled = Path(calls[0][calls[0].index("--env-file") + 1])
    assert stat.S_IMODE(filled.stat().st_mode) == 0o600
    assert dict(line.split("=", 1) for line in filled.read_text().splitlines()) == FILLED


@pytest.mark.parametrize("silent", [[], ["docker"], ["docker", "podman"]])
def test_without_an_engine_that_answers_it_says_what_to_install(
    tmp_path: Path, program: Callable[..., Callable[[], list[list[str]]]], silent: list[str]
) -> None:
    for name in silent:
        program(name, code=1)
    tools = {name: str(shutil.which(name, path="/usr/bin:/bin")) for name in ("sh", "dirname")}
    for name, found in tools.items():
        (tmp_path / "bin" / name).symlink_to(found)
    (tmp_path / "bin" / "python3").write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    (tmp_path / "bin" / "python3").chmod(0o755)
    done = subprocess.run([str(DOCKER / "check.sh")], capture_output=True, text=True, check=False)
    assert done.returncode == NO_ENGINE == 3, done.stderr
    assert done.stdout == ""
    assert "apt-get install buildah debootstrap" in done.stderr and "Traceback" not in done.stderr
