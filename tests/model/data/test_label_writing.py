"""Label files written from annotations: what was there before is not lost."""

import json
from pathlib import Path

import pytest

from model.data.annotation_files import Annotation
from model.data.label_writing import write_labels

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
