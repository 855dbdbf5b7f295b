"""Reference vectors made by running the published codes: every case of every file.

The folder is ``$HPO_GOLDEN_DIR``, by default ``shared/golden`` beside the repository. Arrays are named
``case/name``: names that begin with ``in_`` are inputs, the rest outputs.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
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
    """The arrays of one file that share the first part of their names; "" for those without one."""

    file: Path
    name: str

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the arrays, without the case."""
        prefix = f"{self.name}/" if self.name else ""
        return tuple(key.removeprefix(prefix) for key in _keys(self.file) if _case_of(key) == self.name)

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

    def __str__(self) -> str:
        return f"{self.file.stem}:{self.name}" if self.name else self.file.stem


def files(pattern: str) -> list[Path]:
    """Files of the folder, in order; none where it is missing."""
    return sorted(FOLDER.glob(pattern))


def cases(pattern: str, *, having: Sequence[str]) -> list[Any]:
    """Every case of the files that match ``pattern`` with all arrays of ``having``, as parameters of a test.

    Without the folder one parameter that is skipped with the reason; with it, a folder that holds no such
    case is an error: a comparison must not pass by finding nothing.
    """
    if not FOLDER.is_dir():
        return [pytest.param(None, marks=pytest.mark.skip(reason=ABSENT), id="absent")]
    found = [
        Case(file, name)
        for file in files(pattern)
        for name in dict.fromkeys(map(_case_of, _keys(file)))
        if set(having) <= set(Case(file, name).names)
    ]
    if not found:
        raise LookupError(f"no case of {pattern} in {FOLDER} has {', '.join(having)}")
    return [pytest.param(case, id=str(case)) for case in found]


@cache
def _keys(file: Path) -> tuple[str, ...]:
    with np.load(file, allow_pickle=False) as content:
        return tuple(content.files)


def _case_of(key: str) -> str:
    return key.partition("/")[0] if "/" in key else ""
