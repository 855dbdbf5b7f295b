"""Features that say nothing new: those of another half, or one number everywhere."""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from model.data.layout.feature_file import FeatureFile, unusable_values
from model.errors import Problem


@dataclass(frozen=True, slots=True)
class _Copy:
    """Half with the features of another one."""

    split: str
    path: Path
    first_split: str
    first: Path


class Repeats:
    """Compares the features of the halves of a data set while their values are checked."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._halves = 0
        self._first: dict[Sequence[int], tuple[str, Path]] = {}
        self._copies: list[_Copy] = []

    def problem_of(self, split: str, half: FeatureFile) -> Problem | None:
        """Read all features of one half and return the problem of its values, or None.

        Args:
            split: The split of its game.
            half: The file.
        """
        content = _Content()
        self._halves += 1
        problem = unusable_values(half, content.add)
        if problem is not None:
            return problem
        if content.only_value is not None:
            message = (
                f"all {half.frames} frames have the value {content.only_value:g} in every column; extract "
                "them again, or take the game out of its list"
            )
            return Problem(str(half.path), "", message)
        key = (half.frames, half.dims, content.checksum)
        first_split, first = self._first.setdefault(key, (split, half.path))
        # A game that is in two lists is a problem of the lists.
        if _place(first) != _place(half.path):
            self._copies.append(_Copy(split, half.path, first_split, first))
        return None

    def notices(self) -> tuple[str, ...]:
        """Return the notice of halves with the features of others, those of other splits first."""
        if not self._copies:
            return ()
        copy = max(self._copies, key=lambda each: each.split != each.first_split)
        path, first = (each.relative_to(self._root).as_posix() for each in (copy.path, copy.first))
        where = "" if copy.split == copy.first_split else f" of split {copy.first_split}"
        then = f"; scores on split {copy.split} will be too good" if where else ""
        return (
            f"{len(self._copies)} of {self._halves} halves have the features of another one, the first: "
            f"{path} those of {first}{where}{then}",
        )


def _place(file: Path) -> Path:
    """Return where ``file`` is; links lead to another folder of the game, but a linked file is a copy."""
    return file.parent.resolve() / file.name


class _Content:
    """Checksum of the features of one half, and the only value in them, from one block after another."""

    def __init__(self) -> None:
        self.checksum = 0
        self.only_value: float | None = None
        self._begun = False

    def add(self, block: npt.NDArray[np.floating[Any]]) -> None:
        """Add the next block."""
        # A cryptographic hash would take longer than all else that is done with the values.
        self.checksum = zlib.crc32(block.data, self.checksum)
        if not self._begun:
            self.only_value = float(block[0, 0])
        if self.only_value is not None and not (block == self.only_value).all():
            self.only_value = None
        self._begun = True
