"""Package of the code and the study file that a cluster needs to run a command. It contains no data."""

import re
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePath
from tempfile import TemporaryDirectory
from typing import Any

import hpo
import model
import search_spaces
from hpo.config.notify import is_reference
from hpo.config.study_file import read_study_file
from hpo.tasks.base.imports import NamedFile
from hpo.tasks.base.registry import external_task_code
from hpo.tasks.base.versions import code_files, imported_code
from model.errors import ConfigError

_PACKAGES = (hpo, model, search_spaces)
# A list of what is sent, not of what is excluded: other files beside the code are never sent.
_CODE = ("**/*.py", "**/*.toml")
_STUDY_FILE = "--study-file"


@dataclass(frozen=True, slots=True)
class CodePackage:
    """Code to send to a cluster, and the command line to run there."""

    packages: tuple[Path, ...]
    """Folders and modules to send."""
    arguments: tuple[str, ...]
    """Arguments of ``hpo`` on the cluster."""

    @property
    def runtime_env(self) -> dict[str, list[str]]:
        """Runtime environment of Ray that contains the code.

        It uses modules, not a working directory: Ray unpacks that once per node, and where two nodes share a
        machine, the second one replaces the folder under the running processes of the first.
        """
        return {"py_modules": [str(package) for package in self.packages]}


@contextmanager
def packaged_code(arguments: Sequence[str] = (), *, task: str | None = None) -> Iterator[CodePackage]:
    """Package the code, the study file and the code of its task; delete the package at the end.

    Args:
        arguments: Arguments of ``hpo``. A study file that they name by its path is included.
        task: Name of the study's task. The code of a task outside this package is included, with the user's
            files that it imports.

    Raises:
        ConfigError: The study file cannot be read, or contains an address for notifications.
    """
    with TemporaryDirectory(prefix="hpo-") as temporary:
        folder = Path(temporary)
        packages = tuple(_copy_code(Path(str(package.__file__)).parent, folder) for package in _PACKAGES)
        arguments, study = _with_study_file(arguments, folder / search_spaces.__name__)
        name = task or study.get("task")
        if name and (external := external_task_code(str(name))):
            packages += (*_copy_files(imported_code(str(name)), folder), _copy_code(external, folder))
        yield CodePackage(packages, tuple(arguments))


def _copy_code(package: Path, folder: Path) -> Path:
    if package.is_file():
        return Path(shutil.copy(package, folder))
    for file in code_files(package, *_CODE):
        target = folder / package.name / file.relative_to(package)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, target)
    return folder / package.name


def _copy_files(files: Iterable[NamedFile], folder: Path) -> list[Path]:
    """Copy files to their names in ``folder``; return the modules and packages to send."""
    packages = set()
    for name, path in files:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, folder / name)
        packages.add(folder / PurePath(name).parts[0])
    return sorted(packages)


def _with_study_file(arguments: Sequence[str], installed: Path) -> tuple[tuple[str, ...], Mapping[str, Any]]:
    """Copy the study file into the folder ``installed`` and replace its path by its name there.

    Returns:
        The arguments, and the tables of the study file; none if the arguments name no study file.
    """
    study: Mapping[str, Any] = {}
    changed = [part for argument in arguments for part in _split(argument)]
    for position, argument in enumerate(changed[:-1], start=1):
        if argument != _STUDY_FILE:
            continue
        study, _ = read_study_file(changed[position])
        file = Path(changed[position])
        if file.is_file():
            _refuse_open_addresses(study, file)
            name = re.sub(r"[^A-Za-z0-9_-]", "-", file.stem)
            shutil.copyfile(file, installed / f"{name}.toml")
            changed[position] = name
    return tuple(changed), study


def _refuse_open_addresses(study: Mapping[str, Any], file: Path) -> None:
    """Refuse addresses for notifications, which hold secrets; all users of a cluster can read the file."""
    notify = study.get("notify")
    url = notify.get("url", []) if isinstance(notify, Mapping) else []
    if not all(is_reference(str(address)) for address in (url if isinstance(url, list) else [url])):
        raise ConfigError(
            "the study file is sent to the cluster, where everybody can read the address in [notify] url",
            file=file,
            fix='set a variable to the address on the nodes, and give its name: url = "$NAME"',
        )


def _split(argument: str) -> list[str]:
    return argument.split("=", 1) if argument.startswith(f"{_STUDY_FILE}=") else [argument]
