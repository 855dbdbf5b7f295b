"""Label files: every bad annotation is reported, and hides no other."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from model.data.labels.label_file import Action, read_actions
from model.data.layout.description import builtin_description
from model.data.layout.game_files import write_game
from model.errors import DataError

WYSCOUT = builtin_description("wyscout")


def labels(tmp_path: Path, *annotations: Any) -> Path:
    file = tmp_path / "Labels.json"
    file.write_text(json.dumps({"UrlLocal": "x/", "annotations": annotations}))
    return file


def test_position_in_milliseconds_goes_before_the_game_time(tmp_path: Path) -> None:
    file = labels(
        tmp_path,
        {"gameTime": "1 - 07:32", "label": "soccer-ball", "position": "452500"},
        {"gameTime": "2 - 00:09", "label": "y-card", "visibility": "not shown"},
    )
    assert read_actions(file, WYSCOUT) == (
        Action(1, 452.5, 0, True, annotation=0, clock_s=452.0),
        Action(2, 9.0, 1, False, annotation=1),
    )


def test_every_bad_annotation_is_reported_with_its_number(tmp_path: Path) -> None:
    file = labels(
        tmp_path,
        {"gameTime": "1 - 07:32", "label": "soccer-bal"},
        {"gameTime": "7:32", "label": "soccer-ball"},
        {"gameTime": "1 - 01:00", "label": "soccer-ball"},
        {"gameTime": "0 - 01:00", "label": "soccer-ball"},
        {"gameTime": "1 - 01:00", "label": "y-card", "position": "-5"},
        {"gameTime": "1 - 01:00", "label": "y-card", "position": None},
        {"gameTime": "1 - 01:00", "label": "y-card", "visibility": "maybe"},
        {"gameTime": "1 - 01:00"},
        "goal",
    )
    with pytest.raises(DataError) as caught:
        read_actions(file, WYSCOUT)
    places = [problem.place for problem in caught.value.problems]
    assert places == [f"annotation {index}" for index in (0, 1, 3, 4, 5, 6, 7, 8)]
    assert "nearest known label is 'soccer-ball'" in caught.value.problems[0].message


@pytest.mark.parametrize(
    "position", [True, "1_000", " 5", "NaN", 10**400, 1e308, 86_400_001, -1, [], "9" * 400]
)
def test_position_that_is_no_moment_of_a_half_is_reported(position: object, tmp_path: Path) -> None:
    file = labels(tmp_path, {"gameTime": "1 - 01:00", "label": "soccer-ball", "position": position})
    with pytest.raises(DataError) as caught:
        read_actions(file, WYSCOUT)
    assert len(caught.value.problems) == 1
    assert len(str(caught.value)) < 1000


@pytest.mark.parametrize("clock", ["1 - " + "9" * 400 + ":00", "1 - 9999:00", "\u0661 - 01:00", "1 - 01:60"])
def test_game_time_that_is_none_is_reported(clock: str, tmp_path: Path) -> None:
    file = labels(tmp_path, {"gameTime": clock, "label": "soccer-ball"})
    with pytest.raises(DataError) as caught:
        read_actions(file, WYSCOUT)
    assert [problem.place for problem in caught.value.problems] == ["annotation 0"]


def test_annotations_under_a_key_that_appears_twice_are_not_lost(tmp_path: Path) -> None:
    file = tmp_path / "Labels.json"
    file.write_text('{"annotations": [{"gameTime": "1 - 01:00", "label": "soccer-ball"}], "annotations": []}')
    with pytest.raises(DataError, match="'annotations' appears twice"):
        read_actions(file, WYSCOUT)


def test_label_that_is_a_page_long_is_reported_in_one_line(tmp_path: Path) -> None:
    file = labels(tmp_path, {"gameTime": "1 - 01:00", "label": "goal\n" * 1000}, ["x" * 5000])
    with pytest.raises(DataError) as caught:
        read_actions(file, WYSCOUT)
    assert all(
        len(problem.message) < 200 and "\n" not in problem.message for problem in caught.value.problems
    )


@pytest.mark.parametrize("content", ["", "{", "[]", '{"annotations": 3}', "[" * 100_000])
def test_a_label_file_that_is_none_is_one_problem(content: str, tmp_path: Path) -> None:
    file = tmp_path / "Labels.json"
    file.write_text(content)
    with pytest.raises(DataError) as caught:
        read_actions(file, WYSCOUT)
    assert [problem.file for problem in caught.value.problems] == [str(file)]


def test_a_huge_label_file_is_refused_unread(tmp_path: Path) -> None:
    file = tmp_path / "Labels.json"
    with file.open("wb") as stream:
        stream.truncate(17 << 20)
    with pytest.raises(DataError, match="larger than 16 MiB"):
        read_actions(file, WYSCOUT)


def test_a_written_game_has_both_halves_and_its_labels_and_nothing_else(tmp_path: Path) -> None:
    half = np.ones((4, 2), dtype=np.float16)
    annotation = {"gameTime": "1 - 00:01", "label": "y-card"}
    write_game(
        tmp_path, "l/s/g", stem="X", halves=[half, half], annotations=[annotation], labels_file="Labels.json"
    )
    folder = tmp_path / "l" / "s" / "g"
    assert sorted(file.name for file in folder.iterdir()) == ["1_X.npy", "2_X.npy", "Labels.json"]
    assert np.array_equal(np.load(folder / "2_X.npy", allow_pickle=False), half)
    assert read_actions(folder / "Labels.json", WYSCOUT) == (Action(1, 1.0, 1, True),)
