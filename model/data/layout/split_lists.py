"""Lists of the games of each split in a data folder."""

import importlib.util
from collections.abc import Iterable, Sequence
from pathlib import Path

from model.data.layout.description import SPLITS, DatasetDescription
from model.data.layout.description_text import description_document
from model.data.layout.game_lists import GameList, read_game_list
from model.errors import DataError, Problem
from model.files import write_whole
from model.wording import counted


def games_of_split(root: Path, description: DatasetDescription, split: str) -> tuple[str, ...]:
    """Return the paths of the games of ``split``, relative to ``root``, in the order of the list.

    Raises:
        DataError: There is no list, or games are listed twice or lie outside ``root``; all are reported.
    """
    games, problems = read_split(root, description, split)
    if problems:
        raise DataError(f"the list of split {split!r} is invalid", problems)
    return games


def first_games(names: tuple[str, ...], split: str, count: int | None) -> tuple[str, ...]:
    """Return the first ``count`` games of ``split``; None: all.

    Raises:
        DataError: The split has fewer games.
    """
    if count is None:
        return names
    if not 0 < count <= len(names):
        raise DataError(
            f"split {split!r} has {counted(len(names), 'game')}, {count} were requested",
            fix=f"request at most {len(names)}",
        )
    return names[:count]


def read_split(
    root: Path, description: DatasetDescription, split: str
) -> tuple[tuple[str, ...], list[Problem]]:
    """Return the usable games of ``split``, and a problem for every other line of its list.

    The list is the text file that the description names. If this file does not exist and the SoccerNet
    package is installed, the package supplies the published list.

    Raises:
        DataError: There is no list, or it cannot be read.
    """
    file = root / description.list_of(split)
    if not file.is_file():
        return _published_games(description, split, expected=file), []
    listed = read_game_list(file)
    if listed.games or listed.problems:
        return tuple(listed.games), list(listed.problems)
    return (), [Problem(str(file), "", f"split {split!r} is empty (expected one game path per line)")]


def write_split(root: Path, description: DatasetDescription, split: str, games: Iterable[str]) -> None:
    """Write the list of games of one split to the file that the description names."""
    file = root / description.list_of(split)
    file.parent.mkdir(parents=True, exist_ok=True)
    write_whole(file, "".join(f"{game}\n" for game in games).encode())


def longer_lists(root: Path, games: Sequence[tuple[str, str]]) -> list[tuple[GameList, list[str]]]:
    """Return the lists that lack some of ``games``, each with those; ``GameList.write_with`` adds them.

    Args:
        root: The data folder.
        games: Paths of games below it, each with its split; an empty split is that of no list.

    Raises:
        DataError: A game is in the list of another split, or lines of the lists cannot be used.
    """
    lists = {split: list_of_split(root, split) for split in SPLITS}
    if problems := [problem for listed in lists.values() for problem in listed.problems]:
        raise DataError("the lists of games are invalid", problems)
    for game, split in games:
        others = [other for other in SPLITS if other != split and game in lists[other].games]
        if split and others:
            raise DataError(
                f"the game {game} is in the split {others[0]}, expected {split}",
                file=lists[others[0]].file,
                fix=f"take it out of this list, or name {others[0]} as its split",
            )
    lacking = [
        (listed, [game for game in _of_split(games, split) if game not in listed.games])
        for split, listed in lists.items()
    ]
    return [(listed, more) for listed, more in lacking if more]


def list_games(root: Path, games: Sequence[tuple[str, str]]) -> None:
    """Add games to the lists of their splits; what is in the lists stays. See ``longer_lists``."""
    for listed, more in longer_lists(root, games):
        listed.write_with(more)


def list_of_split(root: Path, split: str) -> GameList:
    """Return the list of the games of a split; it is empty if the file does not exist.

    The file is the one that ``dataset.toml`` names, else ``train.txt`` and so on.

    Raises:
        DataError: The file cannot be read.
    """
    named = description_document(root).get("splits")
    name = named.get(split) if isinstance(named, dict) else None
    file = root / (name if isinstance(name, str) else f"{split}.txt")
    if file.is_file():
        return read_game_list(file)
    return GameList(file=file, lines=(), games={}, problems=())


def _of_split(games: Sequence[tuple[str, str]], split: str) -> list[str]:
    return list(dict.fromkeys(game for game, own in games if own == split))


def _published_games(description: DatasetDescription, split: str, *, expected: Path) -> tuple[str, ...]:
    # The package carries the lists of SoccerNet only: they say nothing about anybody else's games.
    if not description.is_soccernet:
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
