"""Split the matches into training, validation and test."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from model.data.layout.description import SPLITS
from model.documents import decode_text, read_limited
from model.errors import DataError, Problem
from model.wording import counted

_MAX_BYTES = 16 << 20
_TRAIN_SHARE, _VALID_SHARE = 0.6, 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class Splits:
    """Match ids of every split, in the order of its list."""

    matches: dict[str, tuple[int, ...]]
    origin: str
    """Origin of the splits, for people to read."""

    def split_of(self) -> dict[int, str]:
        """Return a table of match id -> split."""
        return {match_id: split for split, ids in self.matches.items() for match_id in ids}


def choose_splits(source: Path, known: Collection[int], *, seed: int) -> Splits:
    """Read the lists in ``source/splits``, or draw splits of 60, 20 and 20 % if matches are not listed.

    Raises:
        DataError: A list contains an unknown match or a match twice; all such lines are listed.
    """
    files = {split: source / "splits" / f"{split}.txt" for split in SPLITS}
    absent = [file.name for file in files.values() if not file.is_file()]
    if absent:
        reason = (
            "there are no lists" if len(absent) == len(files) else f"there is no {' and no '.join(absent)}"
        )
        return _draw(known, seed=seed, reason=reason)
    listed: dict[int, str] = {}
    problems: list[Problem] = []
    splits: dict[str, tuple[int, ...]] = {}
    for split, file in files.items():
        splits[split] = tuple(_read_list(file, known, listed, problems))
    if problems:
        raise DataError("the lists of the splits do not match the data", problems)
    missing = len(set(known) - set(listed))
    if missing:
        return _draw(known, seed=seed, reason=f"the lists lack {counted(missing, 'match', 'matches')}")
    return Splits(matches=splits, origin="the lists of the data set")


def _read_list(
    file: Path, known: Collection[int], listed: dict[int, str], problems: list[Problem]
) -> Iterable[int]:
    try:
        lines = decode_text(read_limited(file, _MAX_BYTES)).split("\n")
    except (OSError, ValueError) as error:
        raise DataError("this list of matches cannot be read", file=file, reason=error) from error
    for number, line in enumerate(lines, start=1):
        text = line.strip()
        if not text:
            continue
        match_id = int(text) if text.isdecimal() and len(text) < 20 else None
        if match_id is None or match_id not in known:
            problems.append(Problem(str(file), f"line {number}", f"unknown match {text[:60]!r}"))
        elif match_id in listed:
            problems.append(
                Problem(str(file), f"line {number}", f"match {match_id} is also in {listed[match_id]}")
            )
        else:
            listed[match_id] = file.stem
            yield match_id


def _draw(known: Collection[int], *, seed: int, reason: str) -> Splits:
    drawn = [int(match_id) for match_id in np.random.default_rng(seed).permutation(sorted(known))]
    train_end = round(_TRAIN_SHARE * len(drawn))
    valid_end = round((_TRAIN_SHARE + _VALID_SHARE) * len(drawn))
    if len(drawn) == len(SPLITS):  # where rounding would leave a split empty
        train_end, valid_end = 1, 2
    parts = (drawn[:train_end], drawn[train_end:valid_end], drawn[valid_end:])
    return Splits(
        matches={split: tuple(part) for split, part in zip(SPLITS, parts, strict=True)},
        origin=f"drawn with seed {seed}, since {reason}",
    )
