"""Label files written from annotations: what was there before is not lost."""

import json
import re
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest

from model.data.labels.annotation_files import Annotation
from model.data.labels.label_writing import declare_classes, write_labels
from model.data.layout.description import read_description
from model.errors import DataError

GAME = "league/season/game"


def noted(part: int, label: str, second: int, **more: str) -> dict[str, str]:
    place = f"{part} - 00:{second:02d}"
    return {"gameTime": place, "label": label, "position": str(1000 * second), **more}


@pytest.fixture
def labels(tmp_path: Path) -> Path:
    """A file of SoccerNet's labels, with the team of each action."""
    file = tmp_path / GAME / "Labels-v2.json"
    file.parent.mkdir(parents=True)
    entries = [noted(1, "Goal", 20, team="home"), noted(2, "Yellow card", 10, team="away")]
    file.write_text(json.dumps({"annotations": entries}))
    return file


def annotation(part: int, second: int) -> tuple[Path, Annotation]:
    made = Annotation(game=GAME, part=part, time_s=float(second), label="Goal", place="line 2")
    return Path("a.csv"), made


def test_file_whose_annotations_are_replaced_is_kept_as_a_copy(labels: Path, tmp_path: Path) -> None:
    before = labels.read_bytes()
    counts, copies = write_labels(tmp_path, [annotation(1, 30)])
    assert counts == {GAME: 2} and copies == [labels.with_name("Labels-v2.json.old")]
    assert copies[0].read_bytes() == before
    entries = json.loads(labels.read_text())["annotations"]
    assert entries == [noted(1, "Goal", 30), noted(2, "Yellow card", 10, team="away")]


def test_the_same_annotations_again_leave_no_copy(labels: Path, tmp_path: Path) -> None:
    write_labels(tmp_path, [annotation(1, 30)])
    counts, copies = write_labels(tmp_path, [annotation(1, 30)])
    assert counts == {GAME: 2} and copies == []


def test_more_annotations_leave_no_copy(labels: Path, tmp_path: Path) -> None:
    write_labels(tmp_path, [annotation(1, 30)])
    _, copies = write_labels(tmp_path, [annotation(1, 30), annotation(1, 40)])
    assert copies == []


def test_part_in_which_nothing_happens_loses_the_annotations_that_it_had(
    labels: Path, tmp_path: Path
) -> None:
    counts, copies = write_labels(tmp_path, [], [(GAME, 1)])
    assert counts == {GAME: 1} and len(copies) == 1
    assert json.loads(labels.read_text())["annotations"] == [noted(2, "Yellow card", 10, team="away")]


def test_other_keys_of_a_label_file_stay(labels: Path, tmp_path: Path) -> None:
    more = {"UrlLocal": "mine/", "gameDate": "2015-02-21", "gameHomeTeam": "Ω United"}
    labels.write_text(json.dumps({**more, **json.loads(labels.read_text())}))
    write_labels(tmp_path, [annotation(1, 30)])
    written = json.loads(labels.read_text())
    assert {**written, **more} == written and len(written["annotations"]) == 2


def test_every_copy_has_a_name_of_its_own(labels: Path, tmp_path: Path) -> None:
    contents, copies = [], []
    for second in (30, 40, 50):
        contents.append(labels.read_bytes())
        copies += write_labels(tmp_path, [annotation(1, second)])[1]
    names = [f"Labels-v2.json.{ending}" for ending in ("old", "old2", "old3")]
    assert copies == [labels.with_name(name) for name in names]
    assert [copy.read_bytes() for copy in copies] == contents


def test_file_that_cannot_be_read_leaves_all_files_as_they_are(labels: Path, tmp_path: Path) -> None:
    other = tmp_path / "league" / "season" / "other" / labels.name
    other.parent.mkdir()
    other.write_text('{"annotations": ["goal"]}')
    before = labels.read_bytes()
    file, first = annotation(1, 30)
    with pytest.raises(DataError, match="expected an object for each annotation"):
        write_labels(tmp_path, [(file, first), (file, replace(first, game="league/season/other"))])
    assert labels.read_bytes() == before and other.read_text() == '{"annotations": ["goal"]}'


def test_annotation_of_no_known_part_stays(labels: Path, tmp_path: Path) -> None:
    odd = {"gameTime": "² - 00:10", "label": "Goal"}
    labels.write_text(json.dumps({"annotations": [odd]}))
    assert write_labels(tmp_path, [annotation(2, 30)]) == ({GAME: 2}, [])
    assert json.loads(labels.read_text())["annotations"] == [odd, noted(2, "Goal", 30)]


def test_labels_with_wildcards_stay_apart_from_others(tmp_path: Path) -> None:
    assert declare_classes(tmp_path, ["Foul?", "Fouls", "Own *", "own goal", "OWN GOAL"])
    description = read_description(tmp_path)
    assert [description.classes[description.class_of(label) or 0] for label in ("fouls", "Foul?")] == [
        "fouls",
        "foul",
    ]
    assert description.patterns["own-goal"] == ("OWN GOAL", "own goal")
    assert description.classes[description.class_of("Own Goal") or 0] == "own-goal"


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        (["Goal", "Goal!", "goal"], "'goal' from 'Goal', 'Goal!', 'goal'"),
        (["进球1", "角球1"], "'1' from '角球1', '进球1'"),
        (["!", "Goal"], "no name from '!'"),
        (["Default", "Goal"], "'default' from 'Default' cannot be a class name: in study files it stands"),
    ],
)
def test_labels_without_distinct_class_names_are_refused(
    labels: list[str], said: str, tmp_path: Path
) -> None:
    with pytest.raises(DataError, match=re.escape(said)) as refusal:
        declare_classes(tmp_path, labels)
    # What the user is told to add the classes to, and with which lines.
    text = (tmp_path / "dataset.toml").read_text()
    assert set(tomllib.loads(text)) == {"name", "labels_file", "splits"}
    lines = ("[classes]", 'goal = ["label", "label"]')
    assert all(line in str(refusal.value.details["fix"]) for line in lines)
    (tmp_path / "dataset.toml").write_text("\n".join([text, *lines]))
    assert not declare_classes(tmp_path, labels) and read_description(tmp_path).classes == ("goal",)
