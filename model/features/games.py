"""Videos of games: a table of them, and the data folder that their features belong to."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, count
from pathlib import Path
from typing import Any

from model.data.layout.description import DESCRIPTION_FILE, SPLITS
from model.data.layout.description_text import add_table, description_document
from model.data.layout.game_lists import game_path
from model.documents import TableRow, decode_text, parse_table, read_limited
from model.errors import ConfigError, DataError, Problem
from model.recipe import Recipe
from model.timeline import part_number

_COLUMNS = ("game", "part", "video")
_MAX_BYTES = 16 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class GameVideo:
    """Video of one part of a game."""

    game: str
    """Path of the game below the data folder."""
    part: int
    """Number of the part (half), from 1."""
    video: Path
    split: str = ""
    """Split of the game; empty if nothing says."""


def games_of_files(videos: Sequence[Path]) -> list[GameVideo]:
    """Return a game of one part for every video, named like its file.

    Raises:
        ConfigError: Two files have the same name, or a game cannot have one of the names.
    """
    games = [GameVideo(game=_game_named_like(video), part=1, video=video) for video in videos]
    names = [game.game for game in games]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ConfigError(
            f"two videos have the name {twice[0]}, so that one would replace the other",
            fix="rename one of them",
        )
    return games


def _game_named_like(video: Path) -> str:
    try:
        return game_path(video.stem)
    except ValueError as error:
        raise ConfigError(
            f"{video}: {error}", fix="rename the video, or name the game in a table of --games"
        ) from None


def halves_of_game(videos: Mapping[int, Path]) -> list[GameVideo]:
    """Return the parts of one game, named like its first video; ``videos`` is half, from 0 -> file."""
    name = next(iter(videos.values())).stem
    return [GameVideo(game=name, part=half + 1, video=video) for half, video in videos.items()]


def read_games(file: Path) -> list[GameVideo]:
    """Read a table with the columns game, part, video and, if wanted, split.

    Paths of videos count from the folder of the table.

    Raises:
        DataError: The table cannot be read, or lines of it are wrong; all are listed.
    """
    try:
        rows = parse_table(decode_text(read_limited(file, _MAX_BYTES)), _COLUMNS)
    except (OSError, ValueError) as error:
        raise DataError(f"this table of videos cannot be read: {error}", file=file) from error
    if not rows:
        raise DataError("expected a line per video below the header of this table, got none", file=file)
    games: list[GameVideo] = []
    problems: list[Problem] = []
    for row in rows:
        try:
            games.append(_game_of(row, file.parent, games))
        except ValueError as error:
            problems.append(Problem(str(file), f"line {row.line}", str(error)))
    if problems:
        raise DataError("this table of videos has wrong lines", problems)
    return games


def _game_of(row: TableRow, folder: Path, before: Sequence[GameVideo]) -> GameVideo:
    if row.fault:
        raise ValueError(row.fault)
    game, part, video = (row.cells[name] for name in _COLUMNS)
    game, split = game_path(game), row.cells.get("split", "")
    number = part_number(part)
    if split and split not in SPLITS:
        raise ValueError(f"split is {split!r:.60} (expected {', '.join(SPLITS)}, or nothing)")
    if not video or not (folder / video).is_file():
        raise ValueError(f"video is {video!r:.200} (expected a file)")
    for other in before:
        if other.game == game and (other.part == number or other.split != split):
            raise ValueError(f"part {part} of {game} contradicts an earlier line of this game")
    return GameVideo(game=game, part=number, video=folder / video, split=split)


def stem_of(model: str) -> str:
    """Return the stem of feature files for a network, such as ``RESNET152`` for ``resnet152.tv_in1k``."""
    return re.sub(r"[^A-Z0-9]+", "_", Path(model).name.partition(".")[0].upper()).strip("_") or "FEATURES"


def declare_features(root: Path, stem: str, recipe: Recipe) -> None:
    """Declare features with rate and recipe in the ``dataset.toml`` of ``root``; create it if it is missing.

    Raises:
        DataError: The file has these features with another recipe or rate, has other features under this
            name, or is invalid.
    """
    file, features = root / DESCRIPTION_FILE, description_document(root).get("features")
    declared = _entries(features if isinstance(features, dict) else {})
    same = {name: entry for name, entry in declared.items() if entry.get("stem") == stem}
    for name, entry in same.items():
        if "recipe" in entry:
            _check_declared(file, name, entry["recipe"], recipe)
            return
    for name, entry in same.items():
        _check_rate(file, name, entry.get("frame_rate", recipe.frame_rate), recipe)
    if stem in declared and stem not in same:
        raise DataError(
            f"the name {stem} stands for the features {declared[stem].get('stem')!r:.60}, expected {stem}",
            file=file,
            fix="give the new features another --name, or the others another name in this file",
        )
    # A person may have given these features their own stem as name, without a recipe.
    names = chain([stem], (f"{stem}-{number}" for number in count(2)))
    entry = {"stem": stem, "frame_rate": recipe.frame_rate, "recipe": recipe.table()}
    add_table(root, {"features": {next(name for name in names if name not in declared): entry}})


def _entries(features: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return name of features -> their table, also where only the stem is written."""
    return {name: value if isinstance(value, dict) else {"stem": value} for name, value in features.items()}


def _check_rate(file: Path, name: str, declared: object, recipe: Recipe) -> None:
    if declared != recipe.frame_rate:
        raise DataError(
            f"the features {name} are declared with frame_rate = {declared!r:.20}, expected "
            f"{recipe.frame_rate:g}, the rate of the extraction",
            file=file,
            fix=f"extract with --fps {declared!r:.20}, correct frame_rate in this file, or give the new "
            "features another --name",
        )


def _check_declared(file: Path, name: str, declared: object, recipe: Recipe) -> None:
    try:
        known = Recipe.read(declared if isinstance(declared, dict) else {})
    except ValueError as error:
        raise DataError(f"the recipe of the features {name} is invalid: {error}", file=file) from error
    try:
        known.check_equal(recipe, what=f"the folder has features {name} by another recipe")
    except ConfigError as error:
        raise DataError(
            error.message, file=file, fix="give the new features another --name, or another --to FOLDER"
        ) from None
