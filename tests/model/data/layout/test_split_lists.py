"""Lists of the games of a split."""

import sys
import types
from dataclasses import replace
from pathlib import Path

import pytest

from model.data.layout.description import builtin_description
from model.data.layout.split_lists import games_of_split, list_games, write_split
from model.errors import DataError, Problem

WYSCOUT = builtin_description("wyscout")


def test_a_split_list_gives_its_games_in_order(tmp_path: Path) -> None:
    write_split(tmp_path, WYSCOUT, "train", ["l/s/b", "l/s/a"])
    (tmp_path / "valid.txt").write_text("# comment\n\nl/s/c/\r\n")
    assert games_of_split(tmp_path, WYSCOUT, "train") == ("l/s/b", "l/s/a")
    assert games_of_split(tmp_path, WYSCOUT, "valid") == ("l/s/c",)


def test_games_outside_the_folder_and_twice_in_a_list_are_reported_together(tmp_path: Path) -> None:
    (tmp_path / "train.txt").write_text("../secret\n/etc\nl/s/a\nl/s/a\n")
    with pytest.raises(DataError) as caught:
        games_of_split(tmp_path, WYSCOUT, "train")
    assert [problem.place for problem in caught.value.problems] == ["line 1", "line 2", "line 4"]


def test_an_empty_split_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "train.txt").write_text("\n")
    with pytest.raises(DataError, match="is empty"):
        games_of_split(tmp_path, WYSCOUT, "train")


def test_soccernet_lists_come_from_its_package_when_there_is_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package, module = types.ModuleType("SoccerNet"), types.ModuleType("SoccerNet.utils")
    package.__spec__ = module.__spec__ = __import__("importlib.util").util.spec_from_loader("SoccerNet", None)
    module.getListGames = lambda split: [f"{split}/game"]  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "SoccerNet", package)
    monkeypatch.setitem(sys.modules, "SoccerNet.utils", module)
    assert games_of_split(tmp_path, builtin_description("soccernet-v2"), "valid") == ("valid/game",)
    for other in (WYSCOUT, replace(WYSCOUT, name="soccernet-handball")):
        with pytest.raises(DataError, match="no list of games"):  # these are nobody else's games
            games_of_split(tmp_path, other, "valid")


@pytest.mark.parametrize(
    ("game", "fault"),
    [
        ("../game", "outside the data folder"),
        ("league/../../game", "outside the data folder"),
        ("/etc", "outside the data folder"),
        ("league/ga\0me", "control characters"),
        ("league/" + "x" * 300, "longer than file systems allow"),
        (".", "names no file"),
    ],
)
def test_list_of_a_split_cannot_leave_the_folder(game: str, fault: str, tmp_path: Path) -> None:
    (tmp_path / "train.txt").write_text(f"league/season/game\n{game}\n")
    with pytest.raises(DataError) as caught:
        games_of_split(tmp_path, WYSCOUT, "train")
    (problem,) = caught.value.problems
    assert problem.place == "line 2"
    assert fault in problem.message


def test_two_spellings_of_one_game_are_the_same_game(tmp_path: Path) -> None:
    (tmp_path / "train.txt").write_text("\ufeffleague/season/game\nleague//season/./game/\n")
    with pytest.raises(DataError, match="already on line 1"):
        games_of_split(tmp_path, WYSCOUT, "train")


def test_marks_within_a_list_made_of_several_files_are_passed_over(tmp_path: Path) -> None:
    (tmp_path / "train.txt").write_text("\ufeffl/s/a\n\ufeffl/s/b\n\ufeff# c\n\ufeff\n")
    assert games_of_split(tmp_path, WYSCOUT, "train") == ("l/s/a", "l/s/b")


def test_problem_shows_letters_that_nobody_would_see() -> None:
    assert str(Problem("d/l/s/c\u200b", "a\u202eb", "no such\u2026")) == (
        "d/l/s/c\\u200b: a\\u202eb: no such\u2026"
    )


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_games_are_added_to_the_lists_that_the_data_folder_names(tmp_path: Path, encoding: str) -> None:
    (tmp_path / "dataset.toml").write_text('[splits]\ntrain = "lists/training.txt"\n')
    (tmp_path / "lists").mkdir()
    file = tmp_path / "lists" / "training.txt"
    file.write_bytes("old/\r\n\r\n# cups\r\ncup\\1\r\n".encode(encoding))
    list_games(tmp_path, [("old", "train"), ("new", "train")])
    assert file.read_text(encoding="utf-8") == "old/\n\n# cups\ncup\\1\nnew\n"
    assert not (tmp_path / "train.txt").exists()
    for game, split in (("old", "valid"), ("cup/1", "test")):
        with pytest.raises(DataError, match=f"{game} is in the split train, expected {split}(?s:.*)take it"):
            list_games(tmp_path, [(game, split)])
    file.write_text("old\nold/\n")
    with pytest.raises(DataError, match="'old' is already on line 1"):
        list_games(tmp_path, [("new", "train")])
