from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from model.data.labels.label_file import read_actions
from model.data.layout.description import builtin_description, read_description, write_description
from model.data.layout.split_lists import games_of_split
from model.data.wyscout import convert_wyscout
from model.errors import DataError

Record = dict[str, Any]
Event = Callable[..., Record]
MatchRecord = Callable[..., Record]
Source = Callable[..., Path]


@pytest.fixture
def cup(tmp_path: Path, event: Event, match: MatchRecord, source: Source) -> Path:
    """Two competitions, five matches; every match has a goal at 10 s, a card at 20 s and a substitution."""
    competitions = {
        name: (
            [match(i, substitutions=[(1, 8, 9)], season=ids[0]) for i in ids],
            [e for i in ids for e in _play(event, i)],
        )
        for name, ids in {"Cup": (1, 2, 3), "League": (4, 5)}.items()
    }
    return source(tmp_path / "source", competitions, splits={"train": [5, 1, 4], "valid": [3], "test": [2]})


def _play(event: Event, match: int) -> list[Record]:
    return [
        event(0.0, match=match),
        event(10.0, "Shot", "Shot", tags=[101], match=match),
        event(20.0, "Foul", "Foul", tags=[1702], match=match, period="2H"),
        event(60.0, match=match),
        event(30.0, match=match, period="2H"),
    ]


def content(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_converted_game_is_read_back_by_the_reader_of_the_layout(cup: Path, tmp_path: Path) -> None:
    target = tmp_path / "target"
    convert_wyscout(cup, target)
    description = read_description(target)
    assert description == builtin_description("wyscout")
    train = games_of_split(target, description, "train")
    assert [game.rpartition("/")[0] for game in train] == ["League/2018", "Cup/2018", "League/2018"]
    actions = read_actions(target / train[0] / "Labels.json", description)
    assert [(a.half, a.time_s, a.class_index, a.visible) for a in actions] == [
        (1, 10.0, 0, True),
        (1, 35.0, 2, True),
        (2, 20.0, 1, True),
    ]
    halves = [np.load(target / train[0] / f"{half}_EVENTS.npy", allow_pickle=False) for half in (1, 2)]
    assert [half.shape for half in halves] == [(151, 64), (91, 64)]


def test_the_report_counts_what_was_written(cup: Path, tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    report = convert_wyscout(cup, tmp_path / "target", progress=lambda done, all_: seen.append((done, all_)))
    assert report.games == {"train": 3, "valid": 1, "test": 1}
    assert report.actions["train"] == {"goal": 3, "card": 3, "substitution": 3}
    assert report.frames["valid"] == 151 + 91
    assert seen == [(done, 5) for done in range(1, 6)]


def test_the_same_source_gives_the_same_bytes_zipped_or_not(
    cup: Path, tmp_path: Path, event: Event, match: MatchRecord, source: Source
) -> None:
    competitions = {"Cup": ([match(7)], _play(event, 7))}
    for zipped in (True, False):
        convert_wyscout(
            source(tmp_path / f"source {zipped}", competitions, zipped=zipped), tmp_path / f"{zipped}"
        )
    assert content(tmp_path / "True") == content(tmp_path / "False")
    convert_wyscout(cup, tmp_path / "once")
    convert_wyscout(cup, tmp_path / "twice")
    convert_wyscout(cup, tmp_path / "twice")
    assert content(tmp_path / "once") == content(tmp_path / "twice")


def test_a_stopped_conversion_is_not_taken_for_a_whole_one_and_can_be_run_again(
    cup: Path, tmp_path: Path
) -> None:
    target = tmp_path / "target"
    convert_wyscout(cup, tmp_path / "whole")
    convert_wyscout(cup, target)

    def stop(done: int, all_: int) -> None:
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        convert_wyscout(cup, target, progress=stop)
    assert not (target / "dataset.toml").exists()
    convert_wyscout(cup, target)
    assert content(target) == content(tmp_path / "whole")


def test_another_data_set_in_the_target_is_left_alone(cup: Path, tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.mkdir()
    write_description(target, builtin_description("soccernet-v2"))
    before = content(target)
    with pytest.raises(DataError, match="another data set"):
        convert_wyscout(cup, target)
    assert content(target) == before


def test_lists_of_games_of_which_nothing_says_whose_they_are_are_left_alone(
    cup: Path, tmp_path: Path
) -> None:
    target = tmp_path / "soccernet"
    target.mkdir()
    (target / "train.txt").write_text("england_epl/2016-2017/a game\n")
    with pytest.raises(DataError, match="another data set"):
        convert_wyscout(cup, target)
    assert (target / "train.txt").read_text() == "england_epl/2016-2017/a game\n"
    assert list(target.iterdir()) == [target / "train.txt"]


def test_a_target_that_cannot_be_written_is_an_error(cup: Path, tmp_path: Path) -> None:
    (tmp_path / "target").write_text("a file")
    with pytest.raises(DataError, match="cannot be written"):
        convert_wyscout(cup, tmp_path / "target")


def test_events_without_the_matches_of_their_competition_are_an_error(
    tmp_path: Path, event: Event, match: MatchRecord, source: Source
) -> None:
    folder = source(tmp_path / "source", {"Cup": ([match(1)], []), "League": ([], [])}, zipped=False)
    (folder / "matches_League.json").unlink()
    with pytest.raises(DataError, match=r"events_League\.json: matches_League\.json is missing"):
        convert_wyscout(folder, tmp_path / "target")
    assert not (tmp_path / "target").exists()


def test_matches_without_events_are_all_listed(
    tmp_path: Path, event: Event, match: MatchRecord, source: Source
) -> None:
    folder = source(tmp_path / "source", {"Cup": ([match(1), match(2), match(3)], _play(event, 2))})
    with pytest.raises(DataError, match="cannot be converted") as caught:
        convert_wyscout(folder, tmp_path / "target")
    assert [problem.place for problem in caught.value.problems] == ["match 1", "match 3"]
    assert not (tmp_path / "target" / "dataset.toml").exists()


def test_events_of_an_unknown_match_are_an_error(
    tmp_path: Path, event: Event, match: MatchRecord, source: Source
) -> None:
    folder = source(tmp_path / "source", {"Cup": ([match(1)], _play(event, 2))})
    with pytest.raises(DataError, match="match 2: the file of matches does not contain this match"):
        convert_wyscout(folder, tmp_path / "target")


def test_a_team_that_does_not_play_in_the_match_is_an_error(
    tmp_path: Path, event: Event, match: MatchRecord, source: Source
) -> None:
    events = [*_play(event, 1), event(40.0, team=33, match=1)]
    with pytest.raises(DataError, match="match 1: an event belongs to team 33"):
        convert_wyscout(source(tmp_path / "source", {"Cup": ([match(1)], events)}), tmp_path / "target")


def test_a_match_in_two_competitions_is_an_error(
    tmp_path: Path, event: Event, match: MatchRecord, source: Source
) -> None:
    both = ([match(1)], _play(event, 1))
    with pytest.raises(DataError, match="another competition contains this match"):
        convert_wyscout(source(tmp_path / "source", {"Cup": both, "League": both}), tmp_path / "target")
