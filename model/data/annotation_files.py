"""Annotations as tools export them: CSV, ELAN, and the subtitles .srt and .vtt; all bad lines are found."""

import csv
import io
import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from model.documents import column_separator, decode_text, read_limited
from model.errors import DataError, Problem
from model.files import path_fault

TABLE, ELAN, SUBTITLES = ".csv", ".eaf", (".srt", ".vtt")
_COLUMNS = ("game", "part", "time", "label")
_MAX_BYTES = 64 << 20
_LONGEST_S = 86_400
_TIME = re.compile(r"(?:(?:(\d{1,2}):)?(\d{1,4}):)?(\d{1,5}(?:[.,]\d{1,9})?)")
_CUE = re.compile(r"\s*(\S+)\s+-->\s+\S+.*")
_TAG = re.compile(r"<[^<>]*>")

Line = tuple[str, str, str, str, str]
"""Place in the file, game, part, time and label, as they are written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Annotation:
    """One annotated moment."""

    game: str
    part: int
    time_s: float
    label: str
    place: str
    """Place in the file that it comes from, such as a line."""


def read_annotations(file: Path, *, game: str, part: int) -> tuple[list[Annotation], list[Problem]]:
    """Read a file of annotations, and a problem for each of its annotations that cannot be used.

    An annotation that lasts counts as the moment at which it begins.

    Args:
        file: A table (.csv) with the columns game, part, time and label, an ELAN file (.eaf), or subtitles
            (.srt, .vtt).
        game: Game of a file that names none, which are all but tables.
        part: Part of the game of such a file.

    Raises:
        DataError: The file is none of these.
    """
    kinds = {TABLE: _table, ELAN: _elan, **dict.fromkeys(SUBTITLES, _subtitles)}
    read = kinds.get(file.suffix.lower())
    if read is None:
        raise DataError(f"expected a file that ends in {', '.join(kinds)}, got {file.name}", file=file)
    try:
        lines = list(read(decode_text(read_limited(file, _MAX_BYTES)), game, str(part)))
    except (OSError, ValueError, csv.Error, ElementTree.ParseError) as error:
        raise DataError(f"this file of annotations cannot be read: {error}", file=file) from error
    annotations: list[Annotation] = []
    problems: list[Problem] = []
    for line in lines:
        try:
            annotations.append(_annotation(line))
        except ValueError as error:
            problems.append(Problem(str(file), line[0], str(error)))
    if not lines:
        problems.append(Problem(str(file), "", "no annotation (expected at least one)"))
    return annotations, problems


def _annotation(line: Line) -> Annotation:
    place, game, part, time, label = (value.strip() for value in line)
    name = PurePosixPath(game).as_posix()
    if not game or (fault := path_fault(name)):
        raise ValueError(f"game {game!r:.80} cannot be used: {fault if game else 'it is empty'}")
    if not re.fullmatch("[1-9]", part):
        raise ValueError(f"part is {part!r:.60} (expected a number from 1 to 9)")
    if not label:
        raise ValueError("the label is empty")
    return Annotation(game=name, part=int(part), time_s=_seconds(time), label=label, place=place)


def _seconds(text: str) -> float:
    match = _TIME.fullmatch(text)
    if match is None:
        raise ValueError(f"time is {text!r:.60} (expected such as 75.5, 1:15.5 or 0:01:15.5)")
    hours, minutes, seconds = match.groups()
    if (minutes and float(seconds.replace(",", ".")) >= 60) or (hours and int(minutes) >= 60):
        raise ValueError(f"time is {text!r:.60} (expected minutes and seconds below 60 after a colon)")
    total = 3600 * int(hours or 0) + 60 * int(minutes or 0) + float(seconds.replace(",", "."))
    if total > _LONGEST_S:
        raise ValueError(f"time is {text!r:.60} (expected at most a day)")
    return total


def _table(text: str, game: str, part: str) -> Iterator[Line]:
    rows = csv.DictReader(io.StringIO(text), delimiter=column_separator(text))
    found = [name.strip() for name in rows.fieldnames or ()]
    rows.fieldnames = found
    if missing := [name for name in _COLUMNS if name not in found]:
        raise ValueError(
            f"expected the columns {', '.join(_COLUMNS)}, got {', '.join(found) or 'none'}: "
            f"{', '.join(missing)} missing"
        )
    for row in rows:
        values = [row[name] or "" for name in _COLUMNS]
        yield (f"line {rows.line_num}", values[0], values[1], values[2], values[3])


def _elan(text: str, game: str, part: str) -> Iterator[Line]:
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise ValueError("expected an ELAN file without a document type")
    root = ElementTree.fromstring(text)
    slots = {slot.get("TIME_SLOT_ID"): slot.get("TIME_VALUE") for slot in root.iter("TIME_SLOT")}
    for tier in root.iter("TIER"):
        for entry in tier.iter("ALIGNABLE_ANNOTATION"):
            milliseconds = slots.get(entry.get("TIME_SLOT_REF1")) or ""
            time = f"{int(milliseconds) / 1000:.3f}" if milliseconds.isdigit() else milliseconds
            # In a tier without values, its name is the label.
            label = (entry.findtext("ANNOTATION_VALUE") or "").strip() or tier.get("TIER_ID") or ""
            yield (f"annotation {entry.get('ANNOTATION_ID')}", game, part, time, label)


def _subtitles(text: str, game: str, part: str) -> Iterator[Line]:
    lines = text.splitlines()
    for index, line in enumerate(lines):
        if "-->" not in line:
            continue
        cue = _CUE.fullmatch(line)
        label = lines[index + 1] if index + 1 < len(lines) else ""
        yield (f"line {index + 1}", game, part, cue[1] if cue else line, _TAG.sub("", label))
