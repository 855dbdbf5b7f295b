"""SoccerNet layout: ``<root>/<league>/<season>/<game>/{1,2}_<STEM>.npy``, label files and lists of games."""

import importlib.util
import io
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import numpy.typing as npt

from model.data.description import DatasetDescription, UnknownLabelError
from model.documents import parse_json, read_limited
from model.errors import DataError, Problem
from model.files import path_fault, write_whole
from model.timeline import parse_game_time

HALVES = (1, 2)
_MAX_BYTES = 16 << 20
_LONGEST_HALF_S = 86_400.0
_DECIMAL = re.compile(r"[0-9]{1,15}(\.[0-9]{1,15})?")
_VISIBLE = {"visible": True, "not shown": False}


@dataclass(frozen=True, slots=True)
class Action:
    """One annotated action."""

    half: int
    """Half of the game: 1 or 2."""
    time_s: float
    """Seconds since the start of the half."""
    class_index: int
    visible: bool
    """False if the action was not shown on screen."""


def features_file(root: Path, game: str, *, half: int, stem: str) -> Path:
    """Return the path of the feature file of one half."""
    return root / game / f"{half}_{stem}.npy"


def games_of_split(root: Path, description: DatasetDescription, split: str) -> tuple[str, ...]:
    """Return the paths of the games of ``split``, relative to ``root``, in the order of the list.

    The list is the text file that the description names. If this file does not exist and the SoccerNet
    package is installed, the package supplies the published list.

    Raises:
        DataError: There is no list, or games are listed twice or lie outside ``root``; all are reported.
    """
    file = root / description.splits.get(split, f"{split}.txt")
    if not file.is_file():
        return _published_games(description, split, expected=file)
    games: dict[str, int] = {}
    problems: list[Problem] = []
    for number, line in enumerate(_read_lines(file), start=1):
        game = line.strip().rstrip("/")
        place = f"line {number}"
        if not game or game.startswith("#"):
            continue
        game = PurePosixPath(game).as_posix()  # a//b and a/./b are a/b
        if fault := path_fault(game):
            problems.append(Problem(str(file), place, f"game {game!r:.80} cannot be used: {fault}"))
        elif game in games:
            problems.append(Problem(str(file), place, f"game {game!r} is already on line {games[game]}"))
        games.setdefault(game, number)
    if not games:
        problems.append(Problem(str(file), "", f"split {split!r} is empty (expected one game path per line)"))
    if problems:
        raise DataError(f"the list of split {split!r} is invalid", problems)
    return tuple(games)


def read_actions(path: Path, description: DatasetDescription) -> list[Action]:
    """Read the actions of one label file, in the order of the file and without ignored labels.

    The time of an action is ``position`` (milliseconds) if the annotation has it, as in SoccerNet's
    evaluation, else the second in ``gameTime``.

    Raises:
        DataError: The file is not a label file or has invalid annotations; every one is listed ("annotation
            0" is the first).
    """
    actions: list[Action] = []
    problems: list[Problem] = []
    for index, annotation in enumerate(_read_annotations(path)):
        try:
            action = _action(annotation, description)
        except (ValueError, UnknownLabelError) as error:
            problems.append(Problem(str(path), f"annotation {index}", str(error)))
            continue
        if action is not None:
            actions.append(action)
    if problems:
        raise DataError(f"{len(problems)} invalid annotations", problems, file=path)
    return actions


def write_game(
    root: Path,
    game: str,
    *,
    stem: str,
    halves: Sequence[npt.NDArray[np.floating[Any]]],
    annotations: Sequence[Mapping[str, object]],
    labels_file: str,
) -> None:
    """Write the features of both halves and the labels of one game, each file atomically.

    Args:
        root: The data folder.
        game: Path of the game relative to it.
        stem: Stem of the feature files.
        halves: Features of the first and the second half, (frames, dims), float16 or float32.
        annotations: List to write under ``"annotations"``.
        labels_file: Name of the label file.
    """
    folder = root / game
    folder.mkdir(parents=True, exist_ok=True)
    for number, features in zip(HALVES, halves, strict=True):
        content = io.BytesIO()
        np.save(content, features, allow_pickle=False)
        write_whole(features_file(root, game, half=number, stem=stem), content.getbuffer())
    labels = {"UrlLocal": f"{game}/", "annotations": list(annotations)}
    write_whole(folder / labels_file, json.dumps(labels, indent=1, ensure_ascii=False).encode())


def write_split(root: Path, description: DatasetDescription, split: str, games: Iterable[str]) -> None:
    """Write the list of games of one split to the file that the description names."""
    file = root / description.splits.get(split, f"{split}.txt")
    file.parent.mkdir(parents=True, exist_ok=True)
    write_whole(file, "".join(f"{game}\n" for game in games).encode())


def _published_games(description: DatasetDescription, split: str, *, expected: Path) -> tuple[str, ...]:
    # The package carries the lists of SoccerNet only: they say nothing about anybody else's games.
    if not description.name.startswith("soccernet"):
        raise DataError(
            f"no list of games for split {split!r}",
            expected=expected,
            fix="write this file with one game path per line",
        )
    if importlib.util.find_spec("SoccerNet") is None:
        fix = (
            "write this file with one game path per line, or: pip install SoccerNet (for its published lists)"
        )
        raise DataError(f"no list of games for split {split!r}", expected=expected, fix=fix)
    from SoccerNet.utils import getListGames

    return tuple(str(game) for game in getListGames(split))


def _read_lines(file: Path) -> list[str]:
    try:
        # Some editors put a mark before the first line that would become part of a game's name.
        return read_limited(file, _MAX_BYTES).decode("utf-8-sig").splitlines()
    except (OSError, ValueError) as error:
        raise DataError("this list of games cannot be read as UTF-8 text", file=file, reason=error) from error


def _read_annotations(path: Path) -> list[Any]:
    def wrong(message: str) -> DataError:
        return DataError("the label file cannot be read", [Problem(str(path), "", message)])

    try:
        content = parse_json(read_limited(path, _MAX_BYTES))
    except FileNotFoundError:
        raise wrong("no such file") from None
    except (OSError, ValueError) as error:
        raise wrong(f"not a valid JSON file: {error}") from error
    annotations = content.get("annotations") if isinstance(content, dict) else None
    if not isinstance(annotations, list):
        raise wrong('"annotations" is missing or not a list (expected {"annotations": [...]})')
    return annotations


def _action(annotation: object, description: DatasetDescription) -> Action | None:
    if not isinstance(annotation, dict):
        raise ValueError(f"expected an object, got {annotation!r:.60}")
    label = annotation.get("label")
    if not isinstance(label, str):
        raise ValueError(_missing_or_wrong("label", label, "a string"))
    class_index = description.class_of(label)
    if class_index is None:
        return None
    game_time = annotation.get("gameTime")
    if game_time is None:
        raise ValueError(_missing_or_wrong("gameTime", game_time, 'such as "1 - 07:32"'))
    half, time_s = parse_game_time(str(game_time))
    if half not in HALVES:
        raise ValueError(f'"gameTime" is {game_time!r:.60} (expected half 1 or 2)')
    if "position" in annotation:
        time_s = _milliseconds(annotation["position"]) / 1000.0
    if time_s > _LONGEST_HALF_S:
        raise ValueError(f"the action is {time_s:g} s after the start of its half (expected at most a day)")
    return Action(half=half, time_s=time_s, class_index=class_index, visible=_visible(annotation))


def _missing_or_wrong(key: str, value: object, expected: str) -> str:
    state = "missing" if value is None else repr(value)[:60]
    return f'"{key}" is {state} (expected {expected})'


def _milliseconds(value: object) -> float:
    written = isinstance(value, str) and _DECIMAL.fullmatch(value) is not None
    if (type(value) in (int, float) or written) and 0 <= (position := float(str(value))) < float("inf"):
        return position
    raise ValueError(f'"position" is {value!r:.60} (expected milliseconds since the start of the half)')


def _visible(annotation: Mapping[str, object]) -> bool:
    visibility = annotation.get("visibility", "visible")
    if not isinstance(visibility, str) or visibility not in _VISIBLE:
        raise ValueError(f'"visibility" is {visibility!r:.60} (expected "visible" or "not shown")')
    return _VISIBLE[visibility]
