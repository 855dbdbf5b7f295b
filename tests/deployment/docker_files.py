"""The files of ``docker/`` as the tests read them."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
DOCKER = ROOT / "docker"

_VARIABLE = re.compile(r"\$\{(?P<name>\w+):\?(?P<message>[^}]+)\}")


def interpolated(file: str, variables: Mapping[str, str]) -> Any:
    """A compose file with the variables put in; one that is missing or empty is refused, as compose does."""

    def value(match: "re.Match[str]") -> str:
        if not variables.get(match["name"]):
            raise LookupError(match["message"])
        return variables[match["name"]]

    # Not the comments.
    lines = [line.partition(" #")[0] for line in (DOCKER / file).read_text().splitlines()]
    return yaml.safe_load(_VARIABLE.sub(value, "\n".join(lines)))


def asked_variables(file: str) -> set[str]:
    return {match["name"] for match in _VARIABLE.finditer((DOCKER / file).read_text())}


def example_variables() -> dict[str, str]:
    lines = (DOCKER / "example.env").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def instructions(dockerfile: str) -> list[tuple[str, str]]:
    """Keyword and rest of every instruction."""
    text = re.sub(r"^#.*\n", "", (DOCKER / dockerfile).read_text(), flags=re.MULTILINE)
    lines = text.replace("\\\n", " ").splitlines()
    return [(line.split(maxsplit=1)[0], line.split(maxsplit=1)[1]) for line in lines if line.strip()]


def command_of(dockerfile: str) -> list[str]:
    """What a container of the image starts."""
    (words,) = [rest for keyword, rest in instructions(dockerfile) if keyword == "CMD"]
    command: list[str] = json.loads(words)
    return command


def health_check_of(dockerfile: str) -> list[str]:
    """What a container of the image is asked with."""
    (words,) = [rest for keyword, rest in instructions(dockerfile) if keyword == "HEALTHCHECK"]
    command: list[str] = json.loads(words[words.index("[") :])
    return command


def variables_of(dockerfile: str) -> dict[str, str]:
    """What the image sets."""
    words = " ".join(rest for keyword, rest in instructions(dockerfile) if keyword == "ENV").split()
    return dict(word.split("=", 1) for word in words)


def locked(file: str) -> dict[str, str]:
    """Package (as pip compares names) -> version, of a list in ``docker/`` or of ``constraints.txt``."""
    folder = ROOT if file == "constraints.txt" else DOCKER
    lines = [line for line in (folder / file).read_text().splitlines() if not line.startswith("#")]
    return {
        re.sub(r"[-_.]+", "-", name).lower(): version
        for name, version in (line.split("==") for line in lines)
    }
