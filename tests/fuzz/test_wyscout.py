"""The event importer: every event and match is reported, counted or refused by file and place."""

import tempfile
from pathlib import Path
from typing import Any

from fuzz.broken import damaged, files, from_json, mutated, to_json
from fuzz.cases import FUZZ, outcome
from hypothesis import given
from hypothesis import strategies as st
from wyscout_files import all_events, all_matches

from model.data.labels.label_file import read_actions
from model.data.layout.description import builtin_description
from model.data.layout.split_lists import games_of_split
from model.data.wyscout import convert_wyscout
from model.data.wyscout.files import DataFile
from model.errors import DataError, UserError

HOME, AWAY = 1, 2
kinds = st.sampled_from(
    (("Pass", "Simple pass"), ("Shot", "Shot"), ("Foul", "Foul"), ("Free Kick", "Corner"), ("Offside", ""))
)
places = st.fixed_dictionaries({"x": st.integers(0, 101), "y": st.integers(0, 100)})


@st.composite
def events(draw: st.DrawFn, match: int, period: str) -> dict[str, Any]:
    kind, sub = draw(kinds)
    return {
        "eventName": kind,
        "subEventName": sub,
        "tags": [
            {"id": tag} for tag in draw(st.lists(st.sampled_from((101, 1701, 1702, 1801, 9)), max_size=2))
        ],
        "positions": draw(st.lists(places, max_size=2)),
        "teamId": draw(st.sampled_from((HOME, AWAY))),
        "playerId": draw(st.integers(0, 30)),
        "matchId": match,
        "matchPeriod": period,
        "eventSec": draw(st.floats(0, 3000)),
    }


@st.composite
def event_lists(draw: st.DrawFn) -> list[dict[str, Any]]:
    """One or two matches, one event a half or more, some with extra time."""
    periods = ["1H", "2H", *draw(st.lists(st.sampled_from(("1H", "2H", "E1", "E2", "P")), max_size=2))]
    return [
        draw(events(match, period)) for match in range(100, draw(st.integers(101, 102))) for period in periods
    ]


def team(number: int, side: str) -> st.SearchStrategy[dict[str, Any]]:
    changes = st.fixed_dictionaries(
        {"minute": st.integers(1, 95), "playerIn": st.integers(0, 30), "playerOut": st.integers(0, 30)}
    )
    formation = st.fixed_dictionaries({"substitutions": st.just("null") | st.lists(changes, max_size=2)})
    return st.fixed_dictionaries(
        {"teamId": st.just(number), "side": st.just(side), "formation": formation | st.just("null")}
    )


def matches(match: int) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries(
        {
            "wyId": st.just(match),
            "label": st.sampled_from(("Reds - Blues, 1 - 0", "../../etc", "A/B", "\U0001f409" * 80)),
            "dateutc": st.just("2018-05-13 14:00:00"),
            "teamsData": st.fixed_dictionaries({"1": team(HOME, "home"), "2": team(AWAY, "away")}),
        },
        optional={"seasonId": st.integers(0, 9)},
    )


match_lists = st.tuples(matches(100), matches(101)).map(list)


@FUZZ
@given(files(event_lists(), to_json))
def test_events_are_all_read_or_refused(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "events_Cup.json")
        file.write_bytes(content)
        came = outcome(lambda: all_events(DataFile(path=file)))
        if isinstance(came, UserError):
            assert isinstance(came, DataError)
            assert str(file) in str(came)
            return
    written = from_json(content)
    assert sum(match.outside + sum(len(half.seconds) for half in match.halves) for match in came) == len(
        written
    )
    goals = sum(
        any(tag["id"] == 102 for tag in event["tags"])
        or (any(tag["id"] == 101 for tag in event["tags"]) and event["eventName"] in ("Shot", "Free Kick"))
        for event in written
        if event["matchPeriod"] in ("1H", "2H")
    )
    assert sum(int(half.goals.sum()) for match in came for half in match.halves) == goals
    outside = sum(event["matchPeriod"] in ("E1", "E2", "P") for event in written)
    assert sum(match.outside for match in came) == outside


@FUZZ
@given(files(match_lists, to_json))
def test_matches_are_all_read_with_their_substitutions_or_refused(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "matches_Cup.json")
        file.write_bytes(content)
        came = outcome(lambda: all_matches(DataFile(path=file), "Cup"))
        if isinstance(came, UserError):
            assert isinstance(came, DataError)
            assert str(file) in str(came)
            return
    written = from_json(content)
    assert len(came) == len(written)
    for record in written:
        formations = [team.get("formation") for team in record["teamsData"].values()]
        lists = [formation.get("substitutions") for formation in formations if isinstance(formation, dict)]
        assert all(formation in (None, "null") for formation in formations if not isinstance(formation, dict))
        assert all(entry in (None, "null") for entry in lists if not isinstance(entry, list))
        changes = sum(len(entry) for entry in lists if isinstance(entry, list))
        assert len(came[record["wyId"]].substitutions) == changes


@st.composite
def sources(draw: st.DrawFn) -> dict[str, bytes]:
    """The files of a competition, one of them broken or none."""
    played = [draw(events(match, period)) for match in (100, 101) for period in ("1H", "2H")]
    made = {"events_Cup.json": st.just(played), "matches_Cup.json": match_lists}
    broken = draw(st.sampled_from((None, *made)))
    return {
        name: draw(
            st.one_of(mutated(valid).map(to_json), damaged(valid.map(to_json)))
            if name == broken
            else valid.map(to_json)
        )
        for name, valid in made.items()
    }


@FUZZ
@given(sources())
def test_conversion_writes_every_goal_and_card_inside_its_folder_or_an_error(
    source: dict[str, bytes],
) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "source").mkdir()
        for file, content in source.items():
            (folder / "source" / file).write_bytes(content)
        came = outcome(lambda: convert_wyscout(folder / "source", folder / "target"))
        assert {entry.name for entry in folder.iterdir()} <= {"source", "target"}
        if isinstance(came, UserError):
            assert isinstance(came, DataError)
            return
        description = builtin_description("wyscout")
        games = [game for split in ("train", "valid", "test") for game in listed(folder / "target", split)]
        actions = [
            read_actions(folder / "target" / game / description.labels_file, description) for game in games
        ]
        assert len(games) == sum(came.games.values()) == len(from_json(source["matches_Cup.json"]))
        assert sum(map(len, actions)) == sum(sum(counts.values()) for counts in came.actions.values())


def listed(target: Path, split: str) -> tuple[str, ...]:
    file = target / f"{split}.txt"
    return games_of_split(target, builtin_description("wyscout"), split) if file.read_text() else ()
