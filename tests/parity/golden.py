"""Reference vectors made by running the published codes: every case of every file.

The folder is ``$HPO_GOLDEN_DIR``, by default ``shared/golden`` beside the repository. Arrays are named
``case/name``: names that begin with ``in_`` are inputs, the rest outputs. Whatever ``cases`` and ``files``
are asked for is noted in ``CLAIMS``: what nobody asks for is not compared, and ``test_coverage`` fails.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

FOLDER = Path(os.environ.get("HPO_GOLDEN_DIR") or Path(__file__).resolve().parents[3] / "shared" / "golden")
ABSENT = f"no reference vectors at {FOLDER}; set HPO_GOLDEN_DIR to the folder that holds them"


@dataclass(frozen=True)
class Case:
    """The arrays of one file that share the first part of their names; with the name "" all of the file."""

    file: Path
    name: str

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the arrays, without the case."""
        if not self.name:
            return _keys(self.file)
        return tuple(
            key.removeprefix(f"{self.name}/") for key in _keys(self.file) if case_of(key) == self.name
        )

    def __getitem__(self, name: str) -> Any:
        """One array."""
        with np.load(self.file, allow_pickle=False) as content:
            return content[f"{self.name}/{name}" if self.name else name]

    def number(self, name: str) -> int:
        """A whole number."""
        return int(self[name])

    def tensor(self, name: str) -> torch.Tensor:
        """One array for torch; half precision as float32."""
        array = self[name]
        return torch.from_numpy(array.astype(np.float32) if array.dtype == np.float16 else array)

    def group(self, prefix: str) -> dict[str, torch.Tensor]:
        """Arrays whose names begin with ``prefix``, by the rest of their names."""
        return {
            name.removeprefix(prefix): self.tensor(name) for name in self.names if name.startswith(prefix)
        }

    def numbered(self, prefix: str) -> dict[int, Any]:
        """Arrays whose names are ``prefix`` and a number, by that number."""
        found = {name.removeprefix(prefix): name for name in self.names if name.startswith(prefix)}
        return {int(number): self[name] for number, name in found.items() if number.isdecimal()}

    def __str__(self) -> str:
        return f"{self.file.stem}:{self.name}" if self.name else self.file.stem


@dataclass(frozen=True)
class Claim:
    """What a test module compares: files, and of their cases those that have certain arrays."""

    pattern: str
    having: frozenset[str] = frozenset()
    groups: tuple[str, ...] = ()
    """Patterns of the first parts of names that are no cases of their own."""

    def covers_file(self, file: Path) -> bool:
        """Whether anything of the file is compared."""
        return fnmatch(file.name, self.pattern)

    def covers(self, case: Case) -> bool:
        """Whether the case is compared."""
        if not self.covers_file(case.file):
            return False
        return self.having <= set(case.names) or any(fnmatch(case.name, group) for group in self.groups)


CLAIMS: list[Claim] = []


def files(pattern: str) -> list[Path]:
    """Files of the folder, in order; none where it is missing."""
    CLAIMS.append(Claim(pattern))
    return sorted(FOLDER.glob(pattern))


def cases(pattern: str, *, having: Sequence[str], groups: Sequence[str] = ()) -> list[Any]:
    """Every case of the files that match ``pattern`` with all arrays of ``having``, as parameters of a test.

    Without the folder one parameter that is skipped with the reason; with it, a folder that holds no such
    case is an error: a comparison must not pass by finding nothing. ``groups``: patterns of first parts of
    names that belong to the case without a name.
    """
    claim = Claim(pattern, frozenset(having), tuple(groups))
    CLAIMS.append(claim)
    if not FOLDER.is_dir():
        return [pytest.param(None, marks=pytest.mark.skip(reason=ABSENT), id="absent")]
    found = [
        case
        for file in sorted(FOLDER.glob(pattern))
        for case in all_cases(file)
        if claim.having <= set(case.names)
    ]
    if not found:
        raise LookupError(f"no case of {pattern} in {FOLDER} has {', '.join(having)}")
    return [pytest.param(case, id=str(case)) for case in found]


def all_cases(file: Path) -> list[Case]:
    """Every case of one file."""
    return [Case(file, name) for name in dict.fromkeys(map(case_of, _keys(file)))]


def case_of(key: str) -> str:
    """First part of an array's name, "" for one that has a single part."""
    return key.partition("/")[0] if "/" in key else ""


@cache
def _keys(file: Path) -> tuple[str, ...]:
    with np.load(file, allow_pickle=False) as content:
        return tuple(content.files)
