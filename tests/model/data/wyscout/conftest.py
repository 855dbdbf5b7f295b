"""Small hand-made matches in the format of the open Wyscout event data."""

import json
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from wyscout_files import all_events

from model.data.wyscout.events import MatchEvents
from model.data.wyscout.files import DataFile

HOME, AWAY = 1, 2
Record = dict[str, Any]


def make_event(
    second: float,
    kind: str = "Pass",
    sub: str = "Simple pass",
    *,
    tags: Sequence[int] = (),
    at: tuple[float, float] | None = (40, 30),
    to: tuple[float, float] | None = (60, 70),
    team: int = HOME,
    player: int = 11,
    period: str = "1H",
    match: int = 100,
) -> Record:
    return {
        "eventName": kind,
        "subEventName": sub,
        "tags": [{"id": tag} for tag in tags],
        "positions": [{"x": place[0], "y": place[1]} for place in (at, to) if place is not None],
        "teamId": team,
        "playerId": player,
        "matchId": match,
        "matchPeriod": period,
        "eventSec": second,
    }


def make_match(
    match: int = 100,
    *,
    date: str = "2018-05-13 14:00:00",
    label: str = "Reds - Blues, 1 - 0",
    season: int = 7,
    substitutions: Sequence[tuple[int, int, int]] | str = (),
) -> Record:
    """``substitutions`` are (minute, player in, player out) of the home team."""
    exchanged = (
        substitutions
        if isinstance(substitutions, str)
        else [{"minute": m, "playerIn": came, "playerOut": left} for m, came, left in substitutions]
    )
    home = {"teamId": HOME, "side": "home", "formation": {"substitutions": exchanged}}
    away = {"teamId": AWAY, "side": "away", "formation": "null"}
    return {
        "wyId": match,
        "label": label,
        "dateutc": date,
        "seasonId": season,
        "teamsData": {str(HOME): home, str(AWAY): away},
    }


def make_source(
    folder: Path,
    competitions: Mapping[str, tuple[Sequence[Record], Sequence[Record]]],
    *,
    zipped: bool = True,
    splits: Mapping[str, Sequence[object]] | None = None,
) -> Path:
    """Write competition -> (matches, events) as the data set is distributed."""
    folder.mkdir(exist_ok=True)
    for position, kind in enumerate(("matches", "events")):
        texts = {f"{kind}_{name}.json": json.dumps(both[position]) for name, both in competitions.items()}
        if zipped:
            with zipfile.ZipFile(folder / f"{kind}.zip", "w") as archive:
                for name, text in texts.items():
                    archive.writestr(name, text)
        else:
            for name, text in texts.items():
                (folder / name).write_text(text)
    for split, ids in (splits or {}).items():
        (folder / "splits").mkdir(exist_ok=True)
        (folder / "splits" / f"{split}.txt").write_text("".join(f"{match}\n" for match in ids))
    return folder


@pytest.fixture(scope="session")
def event() -> Callable[..., Record]:
    return make_event


@pytest.fixture(scope="session")
def match() -> Callable[..., Record]:
    return make_match


@pytest.fixture(scope="session")
def source() -> Callable[..., Path]:
    return make_source


@pytest.fixture(scope="session")
def read(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Sequence[Record]], MatchEvents]:
    """Events -> the match they make; a half without events gets one pass at its start."""
    path = tmp_path_factory.mktemp("events") / "events_Cup.json"

    def read_one_match(events: Sequence[Record]) -> MatchEvents:
        filled = list(events)
        for period in ("1H", "2H"):
            if all(record["matchPeriod"] != period for record in events):
                filled.append(make_event(0.0, period=period))
        path.write_text(json.dumps(filled))
        (only,) = all_events(DataFile(path=path))
        return only

    return read_one_match
