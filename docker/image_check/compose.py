"""Services of ``compose.yaml``: what is started, as whom, with what, and how its health is asked."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

DOCKER = Path(__file__).resolve().parents[1]
COMPOSE = DOCKER / "compose.yaml"
_VARIABLE = re.compile(r"\$\{(\w+):\?([^}]+)\}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Mount:
    """A volume, or a folder of this machine, inside a container."""

    source: str
    """Name of the volume, or path of the folder."""
    target: str
    read_only: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """One service."""

    name: str
    image: str
    dockerfile: str | None
    """File that builds the image, seen from the root of the repository; None for an image of others."""
    command: tuple[str, ...]
    """Empty: the image's own command."""
    environment: Mapping[str, str]
    mounts: tuple[Mount, ...]
    health: tuple[str, ...]
    """Command that succeeds if the service is healthy. Empty: the image's own."""


def read_services(variables: Mapping[str, str], file: Path = COMPOSE) -> list[Service]:
    """Read all services; each comes after those that it depends on.

    Raises:
        LookupError: A variable is missing or empty.
    """
    entries = yaml.safe_load(_filled(file.read_text(), variables))["services"]
    ordered: list[str] = []
    while len(ordered) < len(entries):
        ordered += [
            name
            for name, entry in entries.items()
            if name not in ordered and set(entry.get("depends_on", {})) <= set(ordered)
        ]
    return [_service(name, entries[name]) for name in ordered]


def variable_names(file: Path = COMPOSE) -> set[str]:
    """Return the names of the variables that the file needs."""
    return {name for name, _ in _VARIABLE.findall(file.read_text())}


def _filled(text: str, variables: Mapping[str, str]) -> str:
    def value(match: "re.Match[str]") -> str:
        if not variables.get(match[1]):
            raise LookupError(match[2])
        return variables[match[1]]

    return _VARIABLE.sub(value, text)


def _service(name: str, entry: Mapping[str, Any]) -> Service:
    build = entry.get("build", {})
    return Service(
        name=name,
        image=entry.get("image", f"hpo-{name}"),
        dockerfile=build.get("dockerfile"),
        command=tuple(entry.get("command", ())),
        environment={key: str(value) for key, value in entry.get("environment", {}).items()},
        mounts=tuple(map(_mount, entry.get("volumes", ()))),
        health=without_kind(entry.get("healthcheck", {}).get("test", ())),
    )


def _mount(entry: str | Mapping[str, Any]) -> Mount:
    if isinstance(entry, str):
        source, target = entry.split(":")
        return Mount(source=source, target=target, read_only=False)
    return Mount(source=entry["source"], target=entry["target"], read_only=entry.get("read_only", False))


def without_kind(test: Sequence[str]) -> tuple[str, ...]:
    """Return the command of a health check without its first word, which must be CMD."""
    if test and test[0] != "CMD":
        raise ValueError(f"expected a health check that begins with CMD, got {test[0]!r}")
    return tuple(test[1:])
