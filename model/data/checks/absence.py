"""Files and folders that games lack: each kind once, with ways out that work."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

from model.data.checks.inspection import Absent, Game, no_features, no_labels
from model.data.layout.description import (
    DESCRIPTION_FILE,
    LABELS,
    DatasetDescription,
    advice_to_read,
    builtin_description,
    soccernet_games,
)
from model.data.layout.game_files import features_file, stems_in
from model.errors import Problem
from model.shell import shell_line

_LISTED_ONE_BY_ONE = 3
"""Games that lack the same file are counted if there are more."""
_LIMITED = ("train", "valid")
"""Splits of which ``--games`` limits the games."""


def absence_problems(
    root: Path, description: DatasetDescription, stem: str, games: Mapping[str, Sequence[Game]]
) -> list[Problem]:
    """Return what games lack, with the ways out.

    Args:
        root: The data folder.
        description: Its description.
        stem: Stem of the feature files.
        games: Split -> its games, in the order of the list.
    """
    return _Absence(root, description, stem, games).problems()


class _Absence:
    """Games of one data set and what they lack."""

    def __init__(
        self, root: Path, description: DatasetDescription, stem: str, games: Mapping[str, Sequence[Game]]
    ) -> None:
        self._root, self._description, self._stem, self._games = root, description, stem, games
        self._every = [game for listed in games.values() for game in listed]

    def problems(self) -> list[Problem]:
        if len(self._every) > 1 and all(map(self._lacks_features, self._every)):
            return [self._no_features_yet()]
        mixed = self._mixed_labels()
        problems = [mixed] if mixed is not None else []
        no_file = no_labels(self._description.labels_file)
        for split, games in self._games.items():
            kinds: dict[str, list[tuple[Game, Absent]]] = defaultdict(list)
            for game in games:
                for absent in game.absent:
                    if mixed is None or absent.what != no_file or not self._has_other_labels(game):
                        kinds[absent.what].append((game, absent))
            for what, cases in kinds.items():
                problems += self._of_kind(split, what, cases)
        return problems

    def _of_kind(self, split: str, what: str, cases: Sequence[tuple[Game, Absent]]) -> list[Problem]:
        games = [game for game, _ in cases]
        ways = self._ways_out(split, what, games)
        if len(cases) <= _LISTED_ONE_BY_ONE:
            return [
                Problem(absent.problem.file, absent.problem.place, f"{absent.problem.message}; {ways}")
                for _, absent in cases
            ]
        counted = f"{len(games)} of {len(self._games[split])} games of split {split} {what}"
        shown = "; ".join(game.name for game in games[:_LISTED_ONE_BY_ONE])
        file = self._list_file(split)
        return [
            Problem(str(file if file.is_file() else self._root), "", f"{counted}, the first: {shown}; {ways}")
        ]

    def _ways_out(self, split: str, what: str, games: Sequence[Game]) -> str:
        """Say what to do about ``games``, which lack ``what``: only what helps."""
        file = self._list_file(split)
        ways, before = [], ""
        if what == no_features(self._stem) and any(stems_in(self._root / game.name) for game in games):
            ways.append("choose features that are there (--features NAME)")
        if file.is_file():
            ways.append(f"take {'the game' if len(games) == 1 else 'the games'} out of {file.name}")
        else:
            before = f"there is no {file.name}, so the list of the SoccerNet package is used: "
            ways.append(f"write {file.name} with one game path per line")
        if first := self._complete_first(split):
            ways.append(f"use at most the first {first} (--games TRAIN,VALID)")
        *others, last = [*ways, self._source()]
        return f"{before}{', '.join(others)}, or {last}"

    def _complete_first(self, split: str) -> int:
        """Return how many games from the start of a split lack nothing; 0 where ``--games`` limits none."""
        games = self._games[split] if split in _LIMITED else ()
        return next((number for number, game in enumerate(games) if game.absent), 0)

    def _list_file(self, split: str) -> Path:
        return self._root / self._description.list_of(split)

    def _lacks_features(self, game: Game) -> bool:
        only_these = [absent.what for absent in game.absent] == [no_features(self._stem)]
        return only_these and not stems_in(self._root / game.name)

    def _no_features_yet(self) -> Problem:
        """Return one problem for a folder into which nobody has put features so far."""
        first = features_file(self._root, self._every[0].name, half=1, stem=self._stem)
        source = self._source() if self._description.is_soccernet else "an array (frames, dimensions)"
        return Problem(
            str(self._root),
            "",
            f"none of the {len(self._every)} games has features {self._stem} yet; the first part of the "
            f"first game needs {first}: {source}",
        )

    def _source(self) -> str:
        """Say where missing games can be had."""
        if not self._description.is_soccernet:
            return "add their files"
        labels = self._description.labels_version
        choice = ("--labels", labels) if labels == "v2" else ()
        command = ("hpo", "data", "download", "--features", self._stem, *choice, "--to", self._root)
        return f"download them: {shell_line(*command)}"

    @property
    def _other_version(self) -> str | None:
        """Version of SoccerNet's labels that is not read; None for any other labels."""
        read = self._description.labels_version
        return next((version for version in LABELS if read not in (None, version)), None)

    def _has_other_labels(self, game: Game) -> bool:
        version = self._other_version
        if version is None:
            return False
        return (self._root / game.name / builtin_description(LABELS[version]).labels_file).is_file()

    def _mixed_labels(self) -> Problem | None:
        """Return the problem of games that only have the version of SoccerNet's labels that is not read."""
        read, other = self._description.labels_version, self._other_version
        unread = [
            game.name for game in self._every if game.labels.is_missing and self._has_other_labels(game)
        ]
        if read is None or other is None or not unread:
            return None
        of_read, of_other = (builtin_description(LABELS[each]).labels_file for each in (read, other))
        lack = f"{len(unread)} of {len(self._every)} games have only {of_other} ({other})"
        lack += f", the first: {unread[0]}"
        without = self._without(read, other)
        if without:
            message = (
                f"no version of the labels covers all games: {lack}; {len(without)} have no {of_other}, the "
                f"first: {without[0]}; add the missing {of_read}, or list games of one version only"
            )
        else:
            is_declared = (self._root / DESCRIPTION_FILE).is_file()
            choice = advice_to_read(other) if is_declared else f"--labels {other}"
            message = f"{lack}; read the labels {other}, which all games have: {choice}"
        return Problem(str(self._root), "", message)

    def _without(self, read: str, other: str) -> list[str]:
        """Return the games without labels of the version ``other``, those of other splits last."""
        folders = soccernet_games(self._root)
        elsewhere = [folder.relative_to(self._root).as_posix() for folder in folders[read] - folders[other]]
        here = [game.name for game in self._every if not self._has_other_labels(game)]
        return list(dict.fromkeys([*here, *sorted(elsewhere)]))
