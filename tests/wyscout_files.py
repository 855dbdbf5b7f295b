"""Wyscout files read whole: every fault is an error, as at the end of a conversion."""

from model.data.wyscout.events import EventReader, MatchEvents
from model.data.wyscout.files import DataFile
from model.data.wyscout.matches import Match, read_matches
from model.errors import DataError


def all_events(file: DataFile) -> list[MatchEvents]:
    reader = EventReader(file)
    found = list(reader.matches())
    if reader.problems:
        raise DataError("these events cannot be read", reader.problems)
    return found


def all_matches(file: DataFile, competition: str) -> dict[int, Match]:
    found, problems = read_matches(file, competition)
    if problems:
        raise DataError("these matches cannot be read", problems)
    return found
