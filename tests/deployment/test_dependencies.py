"""Imported packages are declared in ``pyproject.toml`` and have a version in ``constraints.txt``."""

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from deployment.docker_files import ROOT, locked
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

DOCUMENT = tomllib.loads((ROOT / "pyproject.toml").read_text())
PROJECT = DOCUMENT["project"]
EXTRAS = PROJECT["optional-dependencies"]
PEERS = {"syne-tune"}
"""What benchmarks compare with where it is installed, but no extra installs: it brings a library for GPUs."""
# Where Python finds modules in the tests and benchmarks, beside what is installed.
OURS = (ROOT, *(ROOT / name for name in ("tests", "tests/model", "benchmarks", "docker", "docs")))


def names(requirements: list[str]) -> set[str]:
    return {canonicalize_name(Requirement(requirement).name) for requirement in requirements}


def imported(file: Path) -> Iterator[str]:
    """Top-level names of the modules that a file imports, by a statement or by ``importorskip``."""
    for node in ast.walk(ast.parse(file.read_text())):
        match node:
            case ast.Import():
                yield from (alias.name.partition(".")[0] for alias in node.names)
            case ast.ImportFrom(module=str(module), level=0):
                yield module.partition(".")[0]
            case ast.Call(
                func=ast.Attribute(attr="import_module" | "importorskip"),
                args=[ast.Constant(str(module)), *_],
            ):
                yield module.partition(".")[0]


def others(folder: str) -> dict[str, set[Path]]:
    """Modules that are neither Python's nor ours -> the files that import them."""
    found: dict[str, set[Path]] = {}
    for file in sorted((ROOT / folder).rglob("*.py")):
        for module in imported(file):
            if module not in sys.stdlib_module_names and not any(
                (place / module).is_dir() or (place / f"{module}.py").is_file() for place in OURS
            ):
                found.setdefault(module, set()).add(file.relative_to(ROOT))
    return found


@pytest.mark.parametrize("folder", ["hpo", "model", "benchmarks", "tests"])
def test_every_package_that_is_imported_is_declared(folder: str) -> None:
    extras = [extra for extra in EXTRAS if folder not in ("hpo", "model") or extra != "test"]
    declared = names([*PROJECT["dependencies"], *(entry for extra in extras for entry in EXTRAS[extra])])
    distributions = packages_distributions()
    undeclared = {
        module: sorted(map(str, files))
        for module, files in others(folder).items()
        if not (declared | PEERS) & {canonicalize_name(name) for name in distributions.get(module, [module])}
    }
    assert not undeclared


def test_every_declared_package_has_a_version_that_the_project_accepts() -> None:
    lock = locked("constraints.txt")
    extras = [entry for extra in EXTRAS.values() for entry in extra]
    for requirement in map(
        Requirement, [*PROJECT["dependencies"], *extras, *DOCUMENT["build-system"]["requires"]]
    ):
        version = lock[canonicalize_name(requirement.name)]
        assert requirement.specifier.contains(version), f"{requirement} is locked as {version}"


def test_locked_versions_are_those_of_the_public_index() -> None:
    # Neither an address nor a path nor the mark of a local build, such as torch's +cpu.
    lines = [
        line
        for line in (ROOT / "constraints.txt").read_text().splitlines()
        if not line.startswith("#") and not re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.]+", line)
    ]
    assert not lines


@pytest.mark.parametrize("image", ["requirements-hpo.txt", "requirements-mlflow.txt"])
def test_images_have_the_locked_versions(image: str) -> None:
    lock = locked("constraints.txt")
    assert {
        name: version for name, version in locked(image).items() if lock.get(name, version) != version
    } == {}
