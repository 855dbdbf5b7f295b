"""Inspect one game: its labels, the headers of its feature files, and its problems."""

import unicodedata
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

import numpy as np
import numpy.typing as npt

from model.data.labels.clocks import disagrees, on_match_clock
from model.data.labels.label_file import Action, LabelFile, read_labels
from model.data.layout.description import DatasetDescription
from model.data.layout.feature_file import FeatureFile, find_header
from model.data.layout.game_files import feature_parts, features_file, stems_in
from model.data.layout.rates import LATE_S
from model.errors import Problem
from model.files import broken_link
from model.shell import shell_line
from model.timeline import FrameRate
from model.wording import counted


@dataclass(frozen=True, slots=True)
class Absent:
    """File or folder that a game lacks."""

    what: str
    """Kind of file, the same for all games that lack it."""
    problem: Problem


@dataclass(frozen=True, slots=True, kw_only=True)
class Game:
    """Content of one game, without the values of its features."""

    name: str
    halves: Mapping[int, FeatureFile] = field(default_factory=dict)
    """Number of the half -> its features, in order, where they are present and readable."""
    parts: tuple[int, ...] = ()
    """Numbers of the halves that the game should have: all but empty ones without actions."""
    labels: LabelFile
    actions: npt.NDArray[np.int64] = field(default_factory=lambda: np.empty((0, 4), dtype=np.int64))
    """(n, 4): half (from 1), frame within the half, class, visible; sorted, and one of each half, frame and
    class: the visible one, if any."""
    twins: int = 0
    """Number of actions left out because another one of their class is on the same frame."""
    clipped: int = 0
    """Number of actions moved back to the last frame."""
    outside_parts: int = 0
    """Number of actions of halves that the data set's description leaves out."""
    late: tuple[Problem, ...] = ()
    """One problem for every action long past the end of the features."""
    late_by_clock: int = 0
    """Number of such actions whose ``position`` contradicts their ``gameTime``."""
    on_match_clock: Mapping[int, float] = field(default_factory=dict)
    """Half whose times seem to count from the start of the match -> seconds to subtract."""
    absent: tuple[Absent, ...] = ()
    problems: tuple[Problem, ...] = ()
    """Other problems: of annotations, and of files that cannot be used."""


def inspect_game(root: Path, name: str, description: DatasetDescription, *, stem: str) -> Game:
    """Read the labels of a game and the headers of its feature files, and collect all problems."""
    folder = root / name
    if fault := broken_link(folder):
        return _without_content(name, folder, problems=(Problem(str(folder), "", fault),))
    try:
        if folder.is_dir():
            return _readable_game(root, name, description, stem)
        if problem := _in_other_letters(root, name):
            return _without_content(name, folder, problems=(problem,))
        absent = Absent("have no folder", Problem(str(folder), "", "no such game folder"))
        return _without_content(name, folder, absent=(absent,))
    except OSError as error:
        problem = Problem(str(error.filename or folder), "", error.strerror or str(error))
        return _without_content(name, folder, problems=(problem,))


def _readable_game(root: Path, name: str, description: DatasetDescription, stem: str) -> Game:
    folder = root / name
    labels = read_labels(folder / description.labels_file, description)
    here = feature_parts(folder, stem)
    labelled = Counter(action.half for action in labels.actions)
    wanted = (
        tuple(range(1, description.parts + 1)) if description.parts else tuple(sorted({*here, *labelled}))
    )
    found = _Halves()
    if labels.is_missing:
        found.absent.append(Absent(no_labels(description.labels_file), labels.problems[0]))
    else:
        found.problems.extend(labels.problems)
    for number in wanted if here else ():
        path = features_file(root, name, half=number, stem=stem)
        found.add(number, path, labelled[number], may_be_empty=not (labelled[number] or description.parts))
    if not here:
        path = features_file(root, name, half=1, stem=stem)
        found.absent.append(Absent(no_features(stem), _missing_features(path, len(labels.actions))))
    if found.empty and found.empty == {*wanted}:
        message = (
            "none of its feature files has a frame; extract them again, or take the game out of its list"
        )
        found.problems.append(Problem(str(folder), "", message))
    inside = [action for action in labels.actions if action.half in wanted]
    placed = _Placed(inside, found.headers, description, labels.path, description.rate_of(stem))
    return Game(
        name=name,
        halves=found.headers,
        parts=tuple(number for number in wanted if number not in found.empty) if here else (),
        labels=labels,
        actions=placed.rows,
        twins=placed.twins,
        clipped=placed.clipped,
        outside_parts=len(labels.actions) - len(inside),
        late=tuple(placed.late),
        late_by_clock=placed.late_by_clock,
        on_match_clock=placed.on_match_clock,
        absent=tuple(found.absent),
        problems=tuple(found.problems),
    )


@dataclass(frozen=True, slots=True)
class _Halves:
    """Feature files of the halves of a game, and what is wrong with them."""

    headers: dict[int, FeatureFile] = field(default_factory=dict)
    empty: set[int] = field(default_factory=set)
    absent: list[Absent] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)

    def add(self, number: int, path: Path, actions: int, *, may_be_empty: bool) -> None:
        """Look at the feature file of a half with so many actions."""
        header = find_header(path)
        if header is None:
            self.absent.append(Absent(f"have no {path.name}", _missing_features(path, actions)))
        elif isinstance(header, Problem):
            self.problems.append(header)
        elif header.frames:
            self.headers[number] = header
        elif may_be_empty:
            self.empty.add(number)
        else:
            self.problems.append(Problem(str(path), "shape", "expected at least one frame, got none"))


def _in_other_letters(root: Path, name: str) -> Problem | None:
    """Return the problem of a game whose folder has the accents of its name in another Unicode form, or None.

    Macs and their zip files write an accent as a character of its own; lists usually have one for both.
    """
    folder = root
    for part in PurePosixPath(name).parts:
        missing = folder / part
        if not missing.exists():
            composed = unicodedata.normalize("NFC", part)
            here = folder.iterdir() if folder.is_dir() else ()
            alike = [each for each in here if unicodedata.normalize("NFC", each.name) == composed]
            return _renaming(alike[0], missing) if alike else None
        folder = missing
    return None


def _renaming(there: Path, wanted: Path) -> Problem:
    message = "no such folder, but one whose name has its accents in another Unicode form; rename it: "
    return Problem(str(wanted), "", message + shell_line("mv", there, wanted))


def no_features(stem: str) -> str:
    """Return the kind of ``Absent`` of games without any feature file."""
    return f"have no features {stem}"


def no_labels(labels_file: str) -> str:
    """Return the kind of ``Absent`` of games without a label file."""
    return f"have no {labels_file}"


def _without_content(
    name: str, folder: Path, *, absent: tuple[Absent, ...] = (), problems: tuple[Problem, ...] = ()
) -> Game:
    return Game(name=name, labels=LabelFile(folder, (), hides_classes=True), absent=absent, problems=problems)


def _missing_features(path: Path, actions: int) -> Problem:
    here = ", ".join(stems_in(path.parent)) or "none"
    labelled = f"; needed for {counted(actions, 'labelled action')}" if actions else ""
    return Problem(str(path), "", f"missing; features in this folder: {here}{labelled}")


class _Placed:
    """Actions of a game on the frames of its halves."""

    def __init__(
        self,
        actions: list[Action],
        halves: Mapping[int, FeatureFile],
        description: DatasetDescription,
        labels: Path,
        rate: FrameRate,
    ) -> None:
        self.clipped, self.late_by_clock = 0, 0
        self.late: list[Problem] = []
        lengths_s = {number: rate.to_seconds(half.frames) for number, half in halves.items()}
        self.on_match_clock = on_match_clock(actions, lengths_s)
        rows = []
        for action in actions:
            half = halves.get(action.half)
            frame = rate.frame_at(action.time_s)
            if half is not None:
                past_s = action.time_s - lengths_s[action.half]
                on_clock_of_half = action.half not in self.on_match_clock  # else that is the fault
                if past_s > LATE_S and disagrees(action):
                    self.late_by_clock += 1  # the clocks are the fault, and reported as such
                elif past_s > LATE_S and on_clock_of_half:
                    name = description.classes[action.class_index]
                    self.late.append(_late(action, name, past_s, labels))
                self.clipped += on_clock_of_half and half.frames <= frame
                frame = min(frame, half.frames - 1)
            # A missing half is a problem of its own; its actions still count as actions of their class.
            rows.append((action.half, frame, action.class_index, int(action.visible)))
        self.rows = _distinct(np.array(rows, dtype=np.int64).reshape(-1, 4))
        self.twins = len(rows) - len(self.rows)


def _distinct(actions: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Sort (half, frame, class, visible) rows and keep one of each half, frame and class."""
    half, frame, class_index, visible = actions.T
    ordered = actions[np.lexsort((-visible, class_index, frame, half))]
    is_new = np.ones(len(ordered), dtype=bool)
    is_new[1:] = (ordered[1:, :3] != ordered[:-1, :3]).any(axis=1)
    return ordered[is_new]


def _late(action: Action, name: str, past_s: float, labels: Path) -> Problem:
    return Problem(
        str(labels),
        f"annotation {action.annotation}",
        f"{name} at {action.time_s:g} s of half {action.half} is {past_s:.0f} s past the end of the features "
        f"(expected at most {LATE_S:.0f} s)",
    )
