"""What travels to a cluster: this project's code and the study file of a command; no data, no secrets."""

import re
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import hpo
import model
import search_spaces
from hpo.config.study_file import read_study_file
from hpo.tasks.base.registry import own_code

_PACKAGES = (hpo, model, search_spaces)
# A list of what may travel, not of what may not: whatever else lies beside the code stays here.
_CODE = ("*.py", "*.toml")
_STUDY_FILE = "--study-file"


@dataclass(frozen=True, slots=True)
class Cargo:
    """Folders to send, and the command as it has to be typed there."""

    packages: tuple[Path, ...]
    words: tuple[str, ...]

    @property
    def modules(self) -> dict[str, list[str]]:
        """A runtime environment of Ray with the code in it.

        Modules and not a working directory, which Ray unpacks anew for each node: where two of them share a
        machine, the second one pulls it from under the first one's processes.
        """
        return {"py_modules": [str(package) for package in self.packages]}


@contextmanager
def packed(words: Sequence[str] = (), *, task: str | None = None) -> Iterator[Cargo]:
    """Pack the code, with what a command or a study has of its own.

    Args:
        words: Of a command; the study file that they name by its path travels with its task.
        task: Of a study; code of one from elsewhere travels too.
    """
    with TemporaryDirectory(prefix="hpo-") as temporary:
        folder = Path(temporary)
        packages = tuple(_copy_code(Path(str(package.__file__)).parent, folder) for package in _PACKAGES)
        words, study_file = _with_study_file(words, folder / search_spaces.__name__)
        name = task or (study_file and read_study_file(study_file)[0].get("task"))
        if name and (own := own_code(str(name))):
            packages += (_copy_code(own, folder),)
        yield Cargo(packages, words)


def _copy_code(package: Path, folder: Path) -> Path:
    if package.is_file():
        return Path(shutil.copy(package, folder))
    for file in (file for pattern in _CODE for file in package.rglob(pattern)):
        target = folder / package.name / file.relative_to(package)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, target)
    return folder / package.name


def _with_study_file(words: Sequence[str], installed: Path) -> tuple[tuple[str, ...], Path | None]:
    """The words, with the name that a study file gets among the ``installed`` ones instead of its path."""
    found = None
    changed = [word for long in words for word in _split(long)]
    for position, word in enumerate(changed[:-1], start=1):
        file = Path(changed[position])
        if word == _STUDY_FILE and file.is_file():
            name = re.sub(r"[^A-Za-z0-9_-]", "-", file.stem)
            shutil.copyfile(file, installed / f"{name}.toml")
            changed[position], found = name, file
    return tuple(changed), found


def _split(word: str) -> list[str]:
    return word.split("=", 1) if word.startswith(f"{_STUDY_FILE}=") else [word]
