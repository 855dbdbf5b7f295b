"""Lists of games, which have the path of a game on each line, and what such a path may be."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from model.documents import decode_text, read_limited
from model.errors import DataError, Problem
from model.files import path_fault, write_whole

_COMMENT = "#"
_MARK = "\ufeff"
"""Byte-order mark, which is within a list that was put together from several files."""
_MAX_BYTES = 16 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class GameList:
    """Content of a list of games."""

    file: Path
    lines: tuple[str, ...]
    """All lines as they are written, comments included."""
    games: Mapping[str, int]
    """Path of a game -> number of its line, in the order of the list."""
    problems: tuple[Problem, ...]
    """One problem for every line whose game cannot be used or is listed already."""

    def write_with(self, games: Iterable[str]) -> None:
        """Write the list with more games at its end; all its lines stay."""
        write_whole(self.file, "".join(f"{line}\n" for line in (*self.lines, *games)).encode())


def read_game_list(file: Path) -> GameList:
    """Read a list of games: one path a line, blank lines and comments apart.

    Raises:
        DataError: The file does not exist, or cannot be read as text.
    """
    try:
        lines = decode_text(read_limited(file, _MAX_BYTES)).splitlines()
    except (OSError, ValueError) as error:
        raise DataError("this list of games cannot be read as text", file=file, reason=error) from error
    games: dict[str, int] = {}
    problems: list[Problem] = []
    for number, line in enumerate(lines, start=1):
        text = _without_marks(line)
        if not text or text.startswith(_COMMENT):
            continue
        try:
            game = game_path(text)
            if game in games:
                raise ValueError(f"game {game!r:.80} is already on line {games[game]}")
            games[game] = number
        except ValueError as error:
            problems.append(Problem(str(file), f"line {number}", str(error)))
    return GameList(file=file, lines=tuple(lines), games=games, problems=tuple(problems))


def game_path(text: str) -> str:
    r"""Return the path of a game below the data folder, ``a/b`` for ``a\b``, ``a//b`` and ``a/b/``.

    Raises:
        ValueError: No list could have this game, or it would lie outside the data folder.
    """
    name = _without_marks(text)
    path = PurePosixPath(name.replace("\\", "/")).as_posix()
    if fault := path_fault(path) or _line_fault(path):
        raise ValueError(f"game {name!r:.80} cannot be used: {fault}")
    return path


def _without_marks(line: str) -> str:
    return line.replace(_MARK, "").strip()


def _line_fault(path: str) -> str | None:
    if path.startswith(_COMMENT):
        return f"in a list of games, a line that begins with {_COMMENT} is a comment"
    return "it contains the end of a line" if len(path.splitlines()) > 1 else None
