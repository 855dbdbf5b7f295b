"""Read the matches: teams, date, substitutions."""

import datetime
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from model.data.wyscout.events import identifier
from model.data.wyscout.files import DataFile
from model.documents import parse_json
from model.errors import Problem

_MAX_BYTES = 256 << 20
_LONGEST_LABEL = 80
_LONGEST_LABEL_BYTES = 200
"""With date and id before it, below the 255 bytes of a folder's name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Substitution:
    """Replacement of one player by another."""

    minute: int
    """Minute of the game, from 1: the clock shows at least minute - 1 and less than ``minute`` minutes."""
    player_in: int
    player_out: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """Match of a competition."""

    match_id: int
    competition: str
    label: str
    """Teams and result as text."""
    date: datetime.date
    season_id: int
    """Wyscout's id of the season; 0 if unknown."""
    home: int
    """Id of the home team."""
    away: int
    substitutions: tuple[Substitution, ...]


def read_matches(file: DataFile, competition: str) -> tuple[dict[int, Match], list[Problem]]:
    """Read all matches of a file as match id -> match, in the order of the file, and note every bad one."""
    matches: dict[int, Match] = {}
    problems: list[Problem] = []
    try:
        records = _read_list(file)
    except ValueError as error:
        return {}, [Problem(str(file), "", str(error))]
    for index, record in enumerate(records):
        try:
            match = _match(record, competition)
        except KeyError as error:
            problems.append(Problem(str(file), f"match {index}", f"key {error} is missing"))
        except (AttributeError, TypeError, ValueError) as error:
            problems.append(Problem(str(file), f"match {index}", str(error)))
        else:
            if match.match_id in matches:
                problems.append(Problem(str(file), f"match {index}", f"id {match.match_id} appears twice"))
            matches[match.match_id] = match
    return matches, problems


def game_folders(matches: Mapping[int, Match]) -> dict[int, str]:
    """Name the folder of every match: match id -> ``<competition>/<season>/<date> - <id> <teams>``."""
    years: dict[tuple[str, int], set[int]] = {}
    for match in matches.values():
        years.setdefault((match.competition, match.season_id), set()).add(match.date.year)
    folders = {}
    for match_id, match in matches.items():
        played = years[match.competition, match.season_id]
        season = "-".join(str(year) for year in sorted({min(played), max(played)}))
        label = re.sub(r"[^\w ,.&()'-]", "_", match.label)[:_LONGEST_LABEL]
        teams = label.encode()[:_LONGEST_LABEL_BYTES].decode(errors="ignore").strip(" .")
        folders[match_id] = f"{match.competition}/{season}/{match.date} - {match_id} {teams}".rstrip()
    return folders


def _read_list(file: DataFile) -> list[Any]:
    try:
        records = parse_json(b"".join(file.chunks(_MAX_BYTES)))
    except ValueError as error:
        raise ValueError(f"not valid JSON: {error}") from error
    if not isinstance(records, list):
        raise ValueError("expected a list of matches")
    return records


def _match(record: Any, competition: str) -> Match:
    _table(record, "a match")
    teams = [_table(team, "a team") for team in record["teamsData"].values()]
    sides = {team["side"]: identifier(team, "teamId") for team in teams}
    if len(teams) != 2 or set(sides) != {"home", "away"}:
        raise ValueError(f"expected a home and an away team, got {sides!r:.60}")
    return Match(
        match_id=identifier(record, "wyId"),
        competition=competition,
        label=str(record["label"]),
        date=datetime.datetime.strptime(record["dateutc"], "%Y-%m-%d %H:%M:%S").date(),
        season_id=identifier(record, "seasonId") if "seasonId" in record else 0,
        home=sides["home"],
        away=sides["away"],
        substitutions=tuple(sub for team in teams for sub in _substitutions(team)),
    )


def _substitutions(team: Mapping[str, Any]) -> Iterator[Substitution]:
    formation = _unless_null(team, "formation", {})
    for entry in _unless_null(formation, "substitutions", []):
        record = _table(entry, "a substitution")
        yield Substitution(
            minute=identifier(record, "minute"),
            player_in=identifier(record, "playerIn"),
            player_out=identifier(record, "playerOut"),
        )


def _table(value: Any, what: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ValueError(f"expected {what}, got {value!r:.60}")
    return value


def _unless_null(record: Mapping[str, Any], key: str, empty: Any) -> Any:
    """What is under ``key``, of the type of ``empty``; that where there is nothing or Wyscout's "null"."""
    value = record.get(key)
    if value is None or value == "null":
        return empty
    if type(value) is not type(empty):
        raise ValueError(f'expected {key} or "null", got {value!r:.60}')
    return value
