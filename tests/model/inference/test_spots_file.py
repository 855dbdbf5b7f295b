import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from SoccerNet.Evaluation.ActionSpotting import evaluate
from SoccerNet.Evaluation.utils import EVENT_DICTIONARY_V1, EVENT_DICTIONARY_V2

from model.data.layout.description import DatasetDescription, builtin_description, parse_description
from model.inference.spots_file import label_texts, write_spots
from model.spots import Spots
from model.timeline import FrameRate

GAME = "league/season/game"


def spots_of(*rows: tuple[int, int, int, float]) -> Spots:
    half, frame, class_index, score = (np.array(column) for column in zip(*rows, strict=True))
    return Spots.from_rows(half, frame, class_index, score.astype(np.float32))


@pytest.mark.parametrize(
    ("name", "dictionary"), [("soccernet-v1", EVENT_DICTIONARY_V1), ("soccernet-v2", EVENT_DICTIONARY_V2)]
)
def test_labels_are_those_that_the_package_knows(name: str, dictionary: dict[str, int]) -> None:
    assert set(label_texts(builtin_description(name).classes)) == set(dictionary)


def test_other_classes_are_their_own_labels() -> None:
    assert label_texts(("serve", "point")) == ("serve", "point")


def test_most_confident_spot_comes_first_and_all_values_are_texts(tmp_path: Path) -> None:
    spots = spots_of((0, 62, 0, 0.25), (1, 903, 1, 0.75))
    file = write_spots(tmp_path, spots, game=GAME, labels=("Goal", "Corner"), frame_rate=FrameRate(2.0))
    assert file == tmp_path / GAME / "results_spotting.json"
    content = json.loads(file.read_text())
    assert content["UrlLocal"] == f"{GAME}/"
    assert content["predictions"] == [
        {"gameTime": "2 - 07:31", "label": "Corner", "position": "451500", "half": "2", "confidence": "0.75"},
        {"gameTime": "1 - 00:31", "label": "Goal", "position": "31000", "half": "1", "confidence": "0.25"},
    ]


@given(st.integers(0, 14_000), st.sampled_from([1.0, 2.0, 3.0, 5.0, 25.0, 29.97]))
def test_truncating_the_position_gives_the_frame_again(frame: int, per_second: float) -> None:
    with TemporaryDirectory() as folder:
        spots = spots_of((0, frame, 0, 0.5))
        file = write_spots(Path(folder), spots, game=GAME, labels=("Goal",), frame_rate=FrameRate(per_second))
        position = int(json.loads(file.read_text())["predictions"][0]["position"])
    assert int(per_second * (position / 1000)) == frame


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # the package closes no file
@pytest.mark.parametrize(("name", "version"), [("soccernet-v1", 1), ("soccernet-v2", 2)])
def test_evaluator_of_the_package_accepts_the_file_and_finds_perfect_spots_perfect(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, version: int
) -> None:
    description = builtin_description(name)
    score = score_of_perfect_spots(tmp_path, monkeypatch, description, version=version)
    assert score == pytest.approx(1.0)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize(
    "table",
    [
        {"throw-in": ["Throw-in"], "card": ["*red card", "Yellow card"], "kick-off": ["Kick-off"]},
        {"serve": ["SERVE"], "point": ["POINT won", "POINT lost"]},
    ],
    ids=["subset of v2", "own vocabulary"],
)
def test_evaluator_of_the_package_scores_spots_of_own_classes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, table: dict[str, list[str]]
) -> None:
    rows = "".join(f"{name} = {json.dumps(patterns)}\n" for name, patterns in table.items())
    text = f'name = "mine"\nlabels_file = "Labels-mine.json"\n[classes]\n{rows}'
    description = parse_description(text, source="dataset.toml")
    texts = [patterns[-1] if "*" in patterns[0] else patterns[0] for patterns in table.values()]
    own = {label: index for index, label in enumerate(texts)}
    score = score_of_perfect_spots(tmp_path, monkeypatch, description, version=2, EVENT_DICTIONARY=own)
    assert score == pytest.approx(1.0)


def score_of_perfect_spots(
    folder: Path, monkeypatch: pytest.MonkeyPatch, description: DatasetDescription, **options: Any
) -> float:
    """Average-mAP that the package computes for spots on all actions of a game."""
    labels = description.label_texts
    rows = [(half, 500 * (index + 1), index, 0.9) for half in (0, 1) for index in range(len(labels))]
    # One half lacks every class but the first: perfect spots have nothing there either.
    rows = [row for row in rows if row[0] == 0 or row[2] == 0]
    truth = [
        {"gameTime": f"{half + 1} - 00:00", "position": str(500 * frame), "label": labels[index]}
        for half, frame, index, _ in rows
    ]
    (folder / "data" / GAME).mkdir(parents=True)
    (folder / "data" / GAME / description.labels_file).write_text(json.dumps({"annotations": truth}))
    write_spots(folder / "spots", spots_of(*rows), game=GAME, labels=labels, frame_rate=FrameRate(2.0))
    monkeypatch.setattr("SoccerNet.Evaluation.ActionSpotting.getListGames", lambda **_: [GAME])
    with np.errstate(divide="ignore", invalid="ignore"):  # the package divides by the number of spots
        result = evaluate(
            str(folder / "data"),
            str(folder / "spots"),
            label_files=description.labels_file,
            metric="tight",
            **options,
        )
    return float(result["a_mAP"])
