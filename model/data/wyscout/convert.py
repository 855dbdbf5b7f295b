"""Convert the Wyscout files to a data folder in the SoccerNet layout."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from model.data.layout.description import SPLITS, builtin_description
from model.data.layout.game_files import write_game
from model.data.layout.new_folder import begin, finish
from model.data.layout.split_lists import write_split
from model.data.wyscout.events import EventReader, MatchEvents
from model.data.wyscout.features import FRAME_RATE, match_features
from model.data.wyscout.files import DataFile, competition_files
from model.data.wyscout.labels import match_labels
from model.data.wyscout.matches import Match, game_folders, read_matches
from model.data.wyscout.splits import Splits, choose_splits
from model.errors import DataError, Problem

_DESCRIPTION = "wyscout"
_FEATURES = "events"


@dataclass(frozen=True, slots=True, kw_only=True)
class ConversionReport:
    """Content of a converted data set, by split."""

    splits_origin: str
    """Origin of the splits, for people to read."""
    games: Counter[str] = field(default_factory=Counter)
    actions: dict[str, Counter[str]] = field(default_factory=lambda: {split: Counter() for split in SPLITS})
    """Split -> class -> number of actions."""
    frames: Counter[str] = field(default_factory=Counter)
    per_second: float = FRAME_RATE.per_second
    """Feature vectors per second."""
    dropped: Counter[str] = field(default_factory=Counter)
    """Kind of omitted event or action -> number."""


def convert_wyscout(
    source: Path,
    target: Path,
    *,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> ConversionReport:
    """Convert the open Wyscout event data (Pappalardo et al. 2019) to a data folder.

    Every file is written atomically, and the same input gives the same bytes, so a conversion that was
    stopped can be run again. ``dataset.toml`` is written last and marks the data set as complete.

    Args:
        source: Folder with ``events.zip`` and ``matches.zip``, or with the JSON files that they contain, and
            optionally ``splits/{train,valid,test}.txt`` with one match id per line.
        target: The data folder to write.
        seed: Seed of the random splits, used if the source has no lists for all matches.
        progress: Called with (games done, total games).

    Raises:
        DataError: The source is incomplete or malformed, or the target contains another data set.
    """
    event_files = competition_files(source, "events")
    matches = _read_all_matches(event_files, competition_files(source, "matches"))
    splits = choose_splits(source, matches, seed=seed)
    try:
        begin(target, _DESCRIPTION)
        conversion = _Conversion(target, matches, splits)
        for file in event_files.values():
            reader = EventReader(file)
            for events in reader.matches():
                conversion.add(file, events)
                if progress is not None:
                    progress(len(conversion.done), len(matches))
            conversion.note(reader)
        conversion.finish()
    except OSError as error:
        raise DataError("the converted games cannot be written", folder=target, reason=error) from error
    return conversion.report


class _Conversion:
    """The data folder while it grows."""

    def __init__(self, target: Path, matches: Mapping[int, Match], splits: Splits) -> None:
        self.report = ConversionReport(splits_origin=splits.origin)
        self.done: set[int] = set()
        self._target = target
        self._matches = matches
        self._folders = game_folders(matches)
        self._splits = splits
        self._split_of = splits.split_of()
        self._description = builtin_description(_DESCRIPTION)
        self._problems: list[Problem] = []
        self._incomplete: set[int | None] = set()

    def note(self, reader: EventReader) -> None:
        """Note the faults of a file that was read."""
        self._problems += reader.problems
        self._incomplete |= reader.incomplete

    def add(self, file: DataFile, events: MatchEvents) -> None:
        """Write one game and count it; a game that does not fit its match is noted as a problem."""
        match = self._matches.get(events.match_id)
        fault = self._fault(match, events)
        self.done.add(events.match_id)
        if match is None or fault is not None:
            self._problems.append(Problem(str(file), f"match {events.match_id}", fault or ""))
            return
        features = match_features(events, home=match.home)
        labels = match_labels(match, events)
        write_game(
            self._target,
            self._folders[match.match_id],
            stem=self._description.feature_stem(_FEATURES),
            halves=features,
            annotations=[label.annotation() for label in labels.labels],
            labels_file=self._description.labels_file,
        )
        split = self._split_of[match.match_id]
        classes = [self._description.class_of(label.name) for label in labels.labels]
        self.report.games[split] += 1
        self.report.frames[split] += sum(len(half) for half in features)
        self.report.actions[split].update(
            self._description.classes[index] for index in classes if index is not None
        )
        self.report.dropped.update(labels.dropped)
        self.report.dropped["events outside the two halves"] += events.outside

    def finish(self) -> None:
        """Write the lists of the splits and the description.

        Raises:
            DataError: Events cannot be read, do not fit their match, or are missing; all faults are listed.
        """
        left = sorted(set(self._matches) - self.done - self._incomplete)
        # Events of a match that cannot be told may be those of a match without any.
        self._problems += [
            Problem(self._matches[match].competition, f"match {match}", "the match has no events")
            for match in (() if None in self._incomplete else left)
        ]
        if self._problems:
            raise DataError("the Wyscout data cannot be converted", self._problems)
        for split, ids in self._splits.matches.items():
            games = [self._folders[match_id] for match_id in ids]
            write_split(self._target, self._description, split, games)
        finish(self._target, self._description)

    def _fault(self, match: Match | None, events: MatchEvents) -> str | None:
        if match is None:
            return "the file of matches does not contain this match"
        if match.match_id in self.done:
            return "another competition also has events of this match"
        teams = {int(team) for half in events.halves for team in np.unique(half.teams)}
        unknown_teams = sorted(teams - {match.home, match.away})
        if unknown_teams:
            return f"an event belongs to team {unknown_teams[0]} (expected {match.home} or {match.away})"
        return None


def _read_all_matches(
    event_files: Mapping[str, DataFile], match_files: Mapping[str, DataFile]
) -> dict[int, Match]:
    lacking = [
        Problem(str(file), "", f"matches_{competition}.json is missing for these events")
        for competition, file in event_files.items()
        if competition not in match_files
    ]
    if lacking:
        raise DataError("files of matches are missing", lacking, fix="add them to the source folder")
    matches: dict[int, Match] = {}
    problems: list[Problem] = []
    for competition in event_files:
        file = match_files[competition]
        found, faults = read_matches(file, competition)
        problems += faults
        problems += [
            Problem(str(file), f"match {match_id}", "another competition contains this match")
            for match_id in found.keys() & matches.keys()
        ]
        matches.update(found)
    if problems:
        raise DataError("these Wyscout matches cannot be read", problems)
    return matches
