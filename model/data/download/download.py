"""Download SoccerNet's published features and labels, verify every file, and resume after a stop."""

import contextlib
import importlib.util
import itertools
import os
import shutil
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from model.data.download.client import RESUME_HINT, DownloadClient
from model.data.download.request import DownloadRequest, make_request
from model.data.download.verification import GameFiles, verify_game
from model.data.layout.description import DESCRIPTION_FILE, SPLITS, write_description
from model.data.layout.feature_file import FeatureFile, width_mismatches
from model.data.layout.split_lists import games_of_split, write_split
from model.errors import ConfigError, DataError, Problem
from model.locks import LockHeldError, locked
from model.wording import counted

INCOMING = ".incoming"
"""Name of the folder, inside the data folder, of incomplete files."""
ASIDE_SUFFIX = ".unsound"
"""Suffix for the name of an invalid file that is moved aside."""
_GAMES_A_REQUEST = 20
_TRIES = 2
_GIVE_UP_AFTER_FILES = 10
"""Stop the download if none of this many files is on the server and no game has any."""

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class DownloadReport:
    """Result of a download; every file is valid."""

    games: Mapping[str, int]
    """Split -> number of games."""
    fetched: int
    """Number of downloaded files."""
    kept: int
    """Number of files that existed before."""
    aside: tuple[Path, ...]
    """New paths of existing files that were invalid and were moved aside."""


def download_soccernet(
    root: Path,
    *,
    features: str,
    labels: str = "v1",
    splits: Sequence[str] = SPLITS,
    progress: Progress | None = None,
    drive: str | None = None,
) -> DownloadReport:
    """Download features and labels of complete splits into ``root``, with lists and a ``dataset.toml``.

    Valid files that exist are not downloaded again, so the same call resumes after any stop. Existing lists
    and an existing ``dataset.toml`` are kept; a shorter list downloads fewer games.

    Args:
        root: The data folder; created if it is missing.
        features: Alias or stem of published features, such as ``resnet``.
        labels: ``v1`` (3 classes) or ``v2`` (17 classes).
        splits: One or more of train, valid and test.
        progress: Called with (name of the step, amount done, total amount).
        drive: Address of a server to use instead of SoccerNet's own drive.

    Raises:
        ConfigError: Features, labels or splits are unknown, or the SoccerNet package is not installed.
        DataError: The server cannot be reached or refuses the request, the disk is full, or files are invalid
            after two downloads; all of these are listed.
    """
    if importlib.util.find_spec("SoccerNet") is None:
        raise ConfigError("the SoccerNet package is not installed", fix="pip install 'hpo[soccernet]'")
    request = make_request(root, features=features, labels=labels, splits=splits)
    games = {split: games_of_split(root, request.description, split) for split in dict.fromkeys(splits)}
    try:
        with _incoming(root) as folder, contextlib.closing(DownloadClient(folder, drive=drive)) as client:
            download = _Download(request, games, client, progress or _no_progress)
            download.run()
            _write_lists(request, games)
        download.raise_problems()
    except OSError as error:
        raise DataError(
            f"cannot write in {root}: {error}", fix=f"make the folder writable, then {RESUME_HINT}"
        ) from error
    return download.report()


class _Download:
    """One download under way."""

    def __init__(
        self,
        request: DownloadRequest,
        games: Mapping[str, Sequence[str]],
        client: DownloadClient,
        progress: Progress,
    ) -> None:
        self._request = request
        self._games = games
        self._client = client
        self._progress = progress
        self._unsound: dict[str, dict[str, GameFiles]] = {split: {} for split in games}
        self._halves: dict[Path, FeatureFile] = {}
        self._fetched: set[Path] = set()
        self._files = len(request.files) * sum(map(len, games.values()))
        self.aside: list[Path] = []

    def report(self) -> DownloadReport:
        """Return the numbers of games and files of this download."""
        return DownloadReport(
            games={split: len(names) for split, names in self._games.items()},
            fetched=len(self._fetched),
            kept=self._files - len(self._fetched),
            aside=tuple(self.aside),
        )

    def run(self) -> None:
        """Download missing and invalid files, at most twice each."""
        self._keep_leftovers()
        self._survey()
        for _ in range(_TRIES):
            self._fetch_unsound()
        self._remove_wrong()

    def raise_problems(self) -> None:
        """Raise one error that lists every missing and every invalid file."""
        problems = width_mismatches(list(self._halves.values()))
        for game, state in self._all_unsound():
            folder = self._request.root / game
            problems += [Problem(str(folder / name), "", "not on the server") for name in state.missing]
            problems += [*itertools.chain.from_iterable(state.wrong.values()), *state.contradictions]
        if problems:
            raise DataError(
                f"{counted(len(problems), 'problem')} in SoccerNet's files after {_TRIES} downloads",
                problems,
                fix="remove these games from the lists (train.txt, ...), or try again another day",
            )

    def _keep_leftovers(self) -> None:
        """Keep the complete files of a run that was killed."""
        games = itertools.chain.from_iterable(self._games.values())
        files = itertools.product(games, self._request.files)
        self._move_all_in(
            (game, name) for game, name in files if not (self._request.root / game / name).exists()
        )

    def _survey(self) -> None:
        total = sum(map(len, self._games.values()))
        games = ((split, game) for split, names in self._games.items() for game in names)
        for done, (split, game) in enumerate(games, start=1):
            self._verify(split, game)
            self._progress("checking games", done, total)

    def _verify(self, split: str, game: str) -> None:
        state = verify_game(game, self._request)
        self._unsound[split].pop(game, None)
        if state.to_fetch(self._request):
            self._unsound[split][game] = state
        else:
            self._halves.update((half.path, half) for half in state.halves)

    def _fetch_unsound(self) -> None:
        for split, unsound in self._unsound.items():
            for batch in _batches(list(unsound), _GAMES_A_REQUEST):
                done = self._files - sum(
                    len(state.to_fetch(self._request)) for _, state in self._all_unsound()
                )
                for files, games in self._fetches(split, batch).items():
                    arrived = self._fetch(split, games, files, done)
                    if not arrived and self._is_hopeless(games, files):
                        raise _not_on_server(games, files)
                    done += arrived
                for game in batch:
                    self._verify(split, game)

    def _is_hopeless(self, asked: Sequence[str], files: Sequence[str]) -> bool:
        """Return True if a download without result means that no such file is on the server."""
        games = itertools.chain.from_iterable(self._games.values())
        has_some = any((self._request.root / game / name).is_file() for game in games for name in files)
        return len(asked) * len(files) >= _GIVE_UP_AFTER_FILES and not has_some

    def _fetches(self, split: str, games: Iterable[str]) -> dict[tuple[str, ...], list[str]]:
        fetches: dict[tuple[str, ...], list[str]] = defaultdict(list)
        for game in games:
            lacking = self._unsound[split][game].to_fetch(self._request)
            for kind in (self._request.label_files, self._request.feature_files):
                files = tuple(name for name in kind if name in lacking)
                if files:
                    fetches[files].append(game)
        return fetches

    def _fetch(self, split: str, games: Sequence[str], files: Sequence[str], done: int) -> int:
        expected = list(itertools.product(games, files))
        staged = [self._client.staging / game / name for game, name in expected]

        def waiting() -> None:
            self._progress("downloading files", done + sum(map(Path.is_file, staged)), self._files)

        try:
            self._client.fetch(games=games, files=files, split=split, waiting=waiting)
        finally:
            # Also when it failed or was stopped: what is whole need not be fetched again.
            arrived = self._move_all_in(expected)
            self._fetched.update(arrived)
            self._progress("downloading files", done + len(arrived), self._files)
        return len(arrived)

    def _move_all_in(self, expected: Iterable[tuple[str, str]]) -> list[Path]:
        arrived = []
        for game, name in expected:
            staged, target = self._client.staging / game / name, self._request.root / game / name
            if staged.is_file():
                self._move_in(staged, target)
                arrived.append(target)
        return arrived

    def _move_in(self, staged: Path, target: Path) -> None:
        with staged.open("rb") as stream:
            os.fsync(stream.fileno())  # a name must not outlive a power cut without its bytes
        target.parent.mkdir(parents=True, exist_ok=True)
        self._move_aside(target)
        staged.replace(target)

    def _remove_wrong(self) -> None:
        for game, state in self._all_unsound():
            for name in state.wrong:
                self._move_aside(self._request.root / game / name)
                (self._request.root / game / name).unlink(missing_ok=True)

    def _move_aside(self, file: Path) -> None:
        # What was here before us is not ours to throw away; what we fetched can be fetched again.
        if file.exists() and file not in self._fetched:
            self.aside.append(file.replace(file.with_name(file.name + ASIDE_SUFFIX)))

    def _all_unsound(self) -> Iterator[tuple[str, GameFiles]]:
        for unsound in self._unsound.values():
            yield from unsound.items()


@contextlib.contextmanager
def _incoming(root: Path) -> Iterator[Path]:
    folder = root / INCOMING
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with locked(folder / "lock", wait_s=0):
            try:
                yield folder
            finally:
                shutil.rmtree(folder, ignore_errors=True)
    except LockHeldError:
        raise DataError(
            f"another download into {root} is running", fix="wait until it has finished"
        ) from None


def _write_lists(request: DownloadRequest, games: Mapping[str, Sequence[str]]) -> None:
    for split, names in games.items():
        if not (request.root / request.description.list_of(split)).is_file():
            write_split(request.root, request.description, split, names)
    # Without it, a folder that holds both versions of the labels is read as v1.
    if not (request.root / DESCRIPTION_FILE).is_file():
        write_description(request.root, request.description)


def _not_on_server(games: Sequence[str], files: Sequence[str]) -> DataError:
    return DataError(
        f"expected {', '.join(files)} of {len(games)} games, got none: the server does not have them",
        first=games[0],
        fix="a newer SoccerNet package may know the new address (pip install --upgrade SoccerNet)",
    )


def _batches(games: Sequence[str], size: int) -> Iterator[Sequence[str]]:
    for start in range(0, len(games), size):
        yield games[start : start + size]


def _no_progress(what: str, done: int, total: int) -> None:
    pass
