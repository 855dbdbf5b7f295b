"""Annotations as tools export them: CSV, JSON, ELAN, .srt and .vtt subtitles; all bad lines are found."""

import html
import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise, takewhile
from pathlib import Path

from model.data.labels.annotation_json import json_lines
from model.data.labels.annotation_line import AnnotationLine
from model.data.layout.game_lists import game_path
from model.documents import decode_text, parse_table, read_limited
from model.errors import DataError, Problem
from model.timeline import part_number
from model.wording import counted

_COLUMNS = ("game", "part", "time", "label")
_MAX_BYTES = 64 << 20
_LONGEST_S = 86_400
_TIME = re.compile(r"(?:(?:(\d{1,2}):)?(\d{1,4}):)?(\d{1,5}(?:[.,]\d{1,9})?)")
_CUE = re.compile(r"\s*(\S+)\s+-->\s+\S+.*")
_ELAN_UNITS = "milliseconds"
_MILLISECONDS = re.compile(r"-?\d{1,9}", re.ASCII)
_TAG = re.compile(r"<[^<>]*>|\{\\[^{}]*\}")
"""Tags of subtitles, among them those of places such as ``{\\an8}``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Annotation:
    """One annotated moment."""

    game: str
    part: int
    time_s: float
    label: str
    place: str
    """Place in the file that it comes from, such as a line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AnnotationFile:
    """Content of a file of annotations."""

    annotations: tuple[Annotation, ...]
    empty: tuple[tuple[str, int], ...]
    """Games and parts of which the file says that nothing happens in them."""
    problems: tuple[Problem, ...]
    """One problem for every annotation that cannot be used."""
    videos: Mapping[tuple[str, int], str]
    """Game and part -> what gives them their name: the path of a video, or of the file itself. A table, which
    names them, has none."""


def different_videos(files: Sequence[tuple[Path, AnnotationFile]]) -> list[Problem]:
    """Return a problem for every part of a game that two files name after different videos."""
    first: dict[tuple[str, int], tuple[Path, str]] = {}
    problems = []
    for file, content in files:
        for (game, part), video in content.videos.items():
            other_file, other = first.setdefault((game, part), (file, video))
            if other != video:
                fault = (
                    f"it would be part {part} of game {game!r:.80}, as {other!r:.120} in {other_file} is "
                    "(expected another name for each video, and one file for each name)"
                )
                problems.append(Problem(str(file), repr(video)[:120], fault))
    return problems


def read_annotations(
    file: Path, *, game: str, part: int | None = None, frame_rate: float | None = None
) -> AnnotationFile:
    """Read a file of annotations.

    An annotation that lasts counts as the moment at which it begins.

    Args:
        file: A table (.csv) with the columns game, part, time and label, OSL JSON or E2E-Spot's (.json), an
            ELAN file (.eaf), or subtitles (.srt, .vtt).
        game: Game of a file that names none, which are ELAN's and subtitles.
        part: Part of the game of such a file, by default 1, and of all lines of a table without that column.
        frame_rate: Frames per second of videos for which a .json file has frames and no rate.

    Raises:
        DataError: The file is none of these, or a rate is missing.
    """
    kinds: dict[str, Callable[[str, str, str], Iterator[AnnotationLine]]] = {
        ".csv": partial(_table, has_part=part is None),
        ".json": partial(json_lines, frame_rate=frame_rate),
        ".eaf": _elan,
        ".srt": _subtitles,
        ".vtt": _web_subtitles,
    }
    read = kinds.get(file.suffix.lower())
    if read is None:
        raise DataError(f"expected a file that ends in {', '.join(kinds)}, got {file.name}", file=file)
    try:
        lines = list(read(decode_text(read_limited(file, _MAX_BYTES)), game, str(part or 1)))
    except (OSError, ValueError, ElementTree.ParseError) as error:
        raise DataError(f"this file of annotations cannot be read: {error}", file=file) from error
    annotations: list[Annotation] = []
    empty: list[tuple[str, int]] = []
    problems: list[Problem] = []
    videos: dict[tuple[str, int], str] = {}
    for line in lines:
        try:
            game, part = _game_and_part(line)
            if named_after := line.video or ("" if file.suffix.lower() == ".csv" else str(file)):
                videos[game, part] = named_after
            if line.is_empty:
                empty.append((game, part))
            else:
                annotations.append(_annotation(line, game, part))
        except ValueError as error:
            problems.append(Problem(str(file), line.place, str(error)))
    if not (annotations or empty or problems):
        problems.append(Problem(str(file), "", "no annotation (expected at least one)"))
    return AnnotationFile(
        annotations=tuple(annotations), empty=tuple(empty), problems=tuple(problems), videos=videos
    )


def _game_and_part(line: AnnotationLine) -> tuple[str, int]:
    if line.fault:
        raise ValueError(line.fault)
    return game_path(line.game), part_number(line.part.strip())


def _annotation(line: AnnotationLine, game: str, part: int) -> Annotation:
    label = line.label.strip()
    if not label:
        raise ValueError("the label is empty")
    time_s = _seconds(line.time.strip()) if isinstance(line.time, str) else line.time
    if time_s < 0:
        raise ValueError(f"time is {time_s:g} s, before the start of the video")
    if time_s > _LONGEST_S:
        raise ValueError(f"time is {str(line.time).strip()!r:.60} (expected at most a day)")
    # Label files have milliseconds.
    return Annotation(game=game, part=part, time_s=round(time_s, 3), label=label, place=line.place)


def _seconds(text: str) -> float:
    match = _TIME.fullmatch(text)
    if match is None:
        raise ValueError(f"time is {text!r:.60} (expected such as 75.5, 1:15.5 or 0:01:15.5)")
    hours, minutes, seconds = match.groups()
    if (minutes and float(seconds.replace(",", ".")) >= 60) or (hours and int(minutes) >= 60):
        raise ValueError(f"time is {text!r:.60} (expected minutes and seconds below 60 after a colon)")
    return 3600 * int(hours or 0) + 60 * int(minutes or 0) + float(seconds.replace(",", "."))


def _table(text: str, game: str, part: str, *, has_part: bool) -> Iterator[AnnotationLine]:
    needed = _COLUMNS if has_part else ("game", "time", "label")
    try:
        rows = parse_table(text, needed)
    except ValueError as error:
        if str(error).endswith(": part is missing"):
            raise ValueError(f"{error} (add it, or give --part 1 if all actions are in part 1)") from None
        raise
    for row in rows:
        game, time, label = (row.cells[name] for name in ("game", "time", "label"))
        yield AnnotationLine(
            place=f"line {row.line}",
            game=game,
            part=row.cells.get("part", part),
            time=time,
            label=label,
            fault=row.fault,
        )


def _elan(text: str, game: str, part: str) -> Iterator[AnnotationLine]:
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise ValueError("expected an ELAN file without a document type")
    root = ElementTree.fromstring(text)
    _check_units(root)
    origin = _time_origin(root)
    slots = {slot.get("TIME_SLOT_ID"): slot.get("TIME_VALUE") for slot in root.iter("TIME_SLOT")}
    for tier in root.iter("TIER"):
        name = tier.get("TIER_ID") or ""
        entries = list(tier.iter("ALIGNABLE_ANNOTATION"))
        values = [(entry.findtext("ANNOTATION_VALUE") or "").strip() for entry in entries]
        for entry, value in zip(entries, values, strict=True):
            milliseconds = slots.get(entry.get("TIME_SLOT_REF1")) or ""
            time = (int(milliseconds) + origin) / 1000 if milliseconds.isdecimal() else milliseconds
            # In a tier without values, its name is the label.
            label = value if any(values) else name
            place = f"annotation {entry.get('ANNOTATION_ID')}"
            yield AnnotationLine(place=place, game=game, part=part, time=time, label=label)
        if count := sum(1 for _ in tier.iter("REF_ANNOTATION")):
            place, fault = f"tier {name!r:.60}", _dependent_fault(count, tier.get("PARENT_REF") or "")
            yield AnnotationLine(place=place, game=game, part=part, fault=fault)


def _check_units(root: ElementTree.Element) -> None:
    """Check that the times of an ELAN file are milliseconds, as they are where it does not say it.

    Raises:
        ValueError: They are not.
    """
    for header in root.iter("HEADER"):
        if (units := header.get("TIME_UNITS", _ELAN_UNITS)) != _ELAN_UNITS:
            raise ValueError(
                f"its times are in {units!r:.30} (TIME_UNITS, expected {_ELAN_UNITS!r}); "
                "export subtitles (.srt) from ELAN instead"
            )


def _time_origin(root: ElementTree.Element) -> int:
    """Return the time of the video, in milliseconds, at which the times of an ELAN file begin."""
    origins = {
        medium.get("MEDIA_URL") or "?": medium.get("TIME_ORIGIN") or "0"
        for medium in root.iter("MEDIA_DESCRIPTOR")
    }
    different = set(origins.values()) or {"0"}
    if len(different) > 1 or not _MILLISECONDS.fullmatch(min(different)):
        raise ValueError(
            "expected one TIME_ORIGIN of all media, in milliseconds, got "
            + ", ".join(f"{origin!r:.20} of {url:.60}" for url, origin in origins.items())
            + "; unlink all media but the video of the features"
        )
    return int(different.pop())


def _dependent_fault(count: int, parent: str) -> str:
    return (
        f"{counted(count, 'annotation')} without a time of their own, which refer to annotations of the tier "
        f"{parent!r:.60} (expected an independent tier: copy this one to such a tier, or delete it)"
    )


def _web_subtitles(text: str, game: str, part: str) -> Iterator[AnnotationLine]:
    for line in _subtitles(text, game, part):
        yield replace(line, label=html.unescape(line.label))


def _subtitles(text: str, game: str, part: str) -> Iterator[AnnotationLine]:
    lines = text.splitlines()
    times = [index for index, line in enumerate(lines) if "-->" in line]
    for index, end in pairwise([*times, len(lines)]):
        cue = _CUE.fullmatch(lines[index])
        words = [_TAG.sub("", line) for line in takewhile(str.strip, lines[index + 1 : end])]
        fault = (
            f"the text has {len(words)} lines, of which the second is {words[1]!r:.60} (expected one line, "
            "the label, and then a blank line)"
            if len(words) > 1
            else ""
        )
        yield AnnotationLine(
            place=f"line {index + 1}",
            game=game,
            part=part,
            time=cue[1] if cue else lines[index],
            label="".join(words),
            fault=fault,
        )
