"""Lists of the games of each split in a data folder."""

from collections.abc import Sequence
from pathlib import Path

from model.data.layout.description import SPLITS
from model.data.layout.description_text import description_document
from model.data.layout.game_lists import GameList, read_game_list
from model.errors import DataError


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
