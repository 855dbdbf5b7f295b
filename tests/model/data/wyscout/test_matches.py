import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from wyscout_files import all_matches

from model.data.wyscout.files import DataFile
from model.data.wyscout.matches import Match, Substitution, game_folders
from model.errors import DataError

MatchRecord = Callable[..., dict[str, Any]]


def read(folder: Path, records: object) -> dict[int, Match]:
    path = folder / "matches_Cup.json"
    path.write_text(json.dumps(records))
    return all_matches(DataFile(path=path), "Cup")


def test_teams_and_substitutions_are_read(tmp_path: Path, match: MatchRecord) -> None:
    found = read(tmp_path, [match(substitutions=[(61, 9, 8)])])[100]
    assert (found.home, found.away) == (1, 2)
    assert found.substitutions == (Substitution(minute=61, player_in=9, player_out=8),)


def test_the_text_null_stands_for_no_substitutions(tmp_path: Path, match: MatchRecord) -> None:
    assert read(tmp_path, [match(substitutions="null")])[100].substitutions == ()


def test_a_season_over_new_year_has_two_years_and_a_cup_has_one(tmp_path: Path, match: MatchRecord) -> None:
    league = [match(i, date=f"{year}-03-01 12:00:00", season=1) for i, year in enumerate((2017, 2018))]
    cup = [match(2, date="2016-06-10 19:00:00", season=2)]
    folders = game_folders(read(tmp_path, [*league, *cup]))
    assert folders[0].startswith("Cup/2017-2018/2017-03-01 - 0 ")
    assert folders[1].startswith("Cup/2017-2018/2018-03-01 - 1 ")
    assert folders[2].startswith("Cup/2016/2016-06-10 - 2 ")


@pytest.mark.parametrize("label", ["../../etc", "a/b\\c\n", "", "." * 300, "Köln - Łódź, 1 - 0", "\x00"])
def test_no_label_leads_out_of_the_folder_of_the_season(
    tmp_path: Path, match: MatchRecord, label: str
) -> None:
    folder = game_folders(read(tmp_path, [match(label=label)]))[100]
    assert folder.count("/") == 2
    assert folder == folder.strip()
    assert folder.rpartition("/")[2].startswith("2018-05-13 - 100")
    assert not set(folder) & set("\x00\n\\")


def test_matches_with_the_same_label_and_date_have_their_own_folders(
    tmp_path: Path, match: MatchRecord
) -> None:
    folders = game_folders(read(tmp_path, [match(1), match(2)]))
    assert folders[1] != folders[2]


def test_all_malformed_matches_are_listed(tmp_path: Path, match: MatchRecord) -> None:
    no_teams = match(2) | {"teamsData": {}}
    no_date = match(3)
    del no_date["dateutc"]
    records = [
        match(1),
        no_teams,
        no_date,
        match(1),
        match(5) | {"dateutc": "today"},
        7,
        match(6, substitutions=[("x", 1, 2)]),
    ]
    with pytest.raises(DataError) as caught:
        read(tmp_path, records)
    assert [problem.place for problem in caught.value.problems] == [f"match {i}" for i in (1, 2, 3, 4, 5, 6)]


@pytest.mark.parametrize("content", [{}, "matches", None])
def test_a_file_that_is_no_list_is_an_error(tmp_path: Path, content: object) -> None:
    with pytest.raises(DataError, match="list of matches"):
        read(tmp_path, content)


def test_a_file_that_is_no_json_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "matches_Cup.json").write_text("[")
    with pytest.raises(DataError, match="JSON"):
        all_matches(DataFile(path=tmp_path / "matches_Cup.json"), "Cup")


@pytest.mark.parametrize(
    "formation",
    [5, [], "none", {"substitutions": {"minute": 3}}, {"substitutions": 0}, {"substitutions": [["x"] * 500]}],
)
def test_substitutions_that_cannot_be_read_are_not_lost(
    tmp_path: Path, match: MatchRecord, formation: object
) -> None:
    record = match()
    record["teamsData"]["1"]["formation"] = formation
    with pytest.raises(DataError, match="cannot be read") as caught:
        read(tmp_path, [record])
    assert len(str(caught.value).splitlines()) == 2


def test_a_key_that_appears_twice_is_an_error(tmp_path: Path, match: MatchRecord) -> None:
    text = json.dumps([match()]).replace('"wyId"', '"wyId": 3, "wyId"')
    (tmp_path / "matches_Cup.json").write_text(text)
    with pytest.raises(DataError, match="'wyId' appears twice"):
        all_matches(DataFile(path=tmp_path / "matches_Cup.json"), "Cup")


def test_label_in_any_script_makes_a_folder_that_a_file_system_takes(
    tmp_path: Path, match: MatchRecord
) -> None:
    folder = game_folders(read(tmp_path, [match(label="\u4f60" * 80)]))[100]
    assert len(folder.rpartition("/")[2].encode()) <= 255
    (tmp_path / folder).mkdir(parents=True)
