import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from model.data.checks.check import check_dataset
from model.errors import DataError

Write = Callable[..., Path]
SPLITS = {"train": 2, "valid": 1, "test": 1}


def game(root: Path, split: str = "train", number: int = 0) -> Path:
    return root / "league" / split / f"game-{number}"


def test_a_sound_data_set_has_its_counts_and_no_problem(write_dataset: Write, tmp_path: Path) -> None:
    report = check_dataset(write_dataset(tmp_path, SPLITS), features=None)
    assert report.problems == ()
    assert report.games == SPLITS
    assert report.frames == {"train": 1200, "valid": 600, "test": 600}
    assert report.actions["train"] == {"goal": 2, "card": 2, "substitution": 2}
    assert report.dims == {"EVENTS": 4} and report.rates == {"EVENTS": 2.0}
    assert report.notices == ()


def break_half(root: Path) -> None:
    (game(root) / "1_EVENTS.npy").unlink()


def break_folder(root: Path) -> None:
    with (root / "train.txt").open("a") as stream:
        stream.write("league/train/nowhere\n")


def break_shape(root: Path) -> None:
    np.save(game(root) / "1_EVENTS.npy", np.zeros(30, dtype=np.float32))


def break_dims(root: Path) -> None:
    np.save(game(root, "valid") / "1_EVENTS.npy", np.zeros((300, 5), dtype=np.float32))


def break_dtype(root: Path) -> None:
    np.save(game(root) / "1_EVENTS.npy", np.zeros((300, 4), dtype=complex))


def break_file(root: Path) -> None:
    (game(root) / "1_EVENTS.npy").write_bytes(b"not numpy")


def break_end(root: Path) -> None:
    file = game(root) / "1_EVENTS.npy"
    file.write_bytes(file.read_bytes()[:-100])


def break_more(root: Path) -> None:
    features = np.load(game(root) / "1_EVENTS.npy")
    with (game(root) / "1_EVENTS.npy").open("wb") as stream:
        for block in np.split(features, 2):
            np.save(stream, block)


def break_pickle(root: Path) -> None:
    np.save(game(root) / "1_EVENTS.npy", np.array([{}], dtype=object), allow_pickle=True)


def break_value(root: Path) -> None:
    features = np.load(game(root, "test") / "2_EVENTS.npy")
    features[250, 3] = np.inf
    np.save(game(root, "test") / "2_EVENTS.npy", features)


def break_constant(root: Path) -> None:
    np.save(game(root, "valid") / "2_EVENTS.npy", np.zeros((300, 4), dtype=np.float32))


def break_pipe(root: Path) -> None:
    (game(root) / "1_EVENTS.npy").unlink()
    os.mkfifo(game(root) / "1_EVENTS.npy")


def break_empty(root: Path) -> None:
    (root / "valid.txt").write_text("")


def break_missing_list(root: Path) -> None:
    (root / "valid.txt").unlink()


def break_leak(root: Path) -> None:
    (root / "test.txt").write_text("league/train/game-0\n")


def break_leak_by_link(root: Path) -> None:
    (root / "league/test/copy").symlink_to(game(root))
    (root / "test.txt").write_text("league/test/copy\n")


def break_labels(root: Path) -> None:
    (game(root) / "Labels.json").unlink()


def annotate(root: Path, **annotation: str) -> None:
    file = game(root) / "Labels.json"
    labels = json.loads(file.read_text())
    labels["annotations"].append({"gameTime": "1 - 00:20", "label": "y-card", **annotation})
    file.write_text(json.dumps(labels))


def break_label(root: Path) -> None:
    annotate(root, label="y-crad")


def break_time(root: Path) -> None:
    annotate(root, gameTime="1 - 7")


def break_half_number(root: Path) -> None:
    annotate(root, gameTime="0 - 00:20")


def break_late(root: Path) -> None:
    annotate(root, gameTime="1 - 03:31")


@pytest.mark.parametrize(
    ("fault", "file", "message"),
    [
        (break_half, "game-0/1_EVENTS.npy", "missing; features in this folder: EVENTS"),
        (break_folder, "train/nowhere", "no such game folder"),
        (break_shape, "game-0/1_EVENTS.npy", "expected (frames, dims), got (30,)"),
        (break_dims, "valid/game-0/1_EVENTS.npy", "expected 4 dimensions per frame"),
        (break_dtype, "game-0/1_EVENTS.npy", "expected numbers, got complex128"),
        (break_file, "game-0/1_EVENTS.npy", "not a readable .npy file"),
        (
            break_end,
            "game-0/1_EVENTS.npy",
            "the file is cut off: it is shorter than its header says; copy it",
        ),
        (
            break_more,
            "game-0/1_EVENTS.npy",
            "the file is 2,528 bytes longer than its header says, as if it held several arrays; copy",
        ),
        (break_pickle, "game-0/1_EVENTS.npy", "not a readable .npy file"),
        (break_value, "test/game-0/2_EVENTS.npy: frame 250", "got inf in column 3"),
        (
            break_constant,
            "valid/game-0/2_EVENTS.npy",
            "all 300 frames have the value 0 in every column; extract",
        ),
        (break_pipe, "game-0/1_EVENTS.npy", "expected a .npy file, got a pipe or a device"),
        (break_empty, "valid.txt", "is empty"),
        (break_missing_list, "valid.txt", "no list of games"),
        (break_leak, "test.txt: league/train/game-0", "also in split 'train'"),
        (
            break_leak_by_link,
            "test.txt: league/test/copy",
            "also in split 'train' as league/train/game-0, the same folder",
        ),
        (break_labels, "game-0/Labels.json", "no such file"),
        (break_label, "game-0/Labels.json: annotation 3", "nearest known label is 'y-card'"),
        (break_time, "game-0/Labels.json: annotation 3", "expected a game time"),
        (
            break_half_number,
            "game-0/Labels.json: annotation 3",
            "\"gameTime\" is '0 - 00:20' (expected a half from 1 on)",
        ),
        (break_late, "game-0/Labels.json: annotation 3", "card at 211 s of half 1 is 61 s past the end"),
    ],
)
def test_a_fault_is_reported_with_file_and_place(
    fault: Callable[[Path], None], file: str, message: str, write_dataset: Write, tmp_path: Path
) -> None:
    root = write_dataset(tmp_path, SPLITS)
    fault(root)
    reported = [str(problem) for problem in check_dataset(root, features=None).problems]
    assert [line for line in reported if file in line and message in line], reported


def test_faults_of_all_games_are_reported_at_once(write_dataset: Write, tmp_path: Path) -> None:
    root = write_dataset(tmp_path, SPLITS)
    for fault in (break_half, break_dims, break_value, break_label, break_folder):
        fault(root)
    assert len(check_dataset(root, features="events").problems) >= 5


def test_a_class_without_an_action_in_train_is_reported(write_dataset: Write, tmp_path: Path) -> None:
    card = {"gameTime": "1 - 00:20", "label": "y-card"}
    report = check_dataset(write_dataset(tmp_path, SPLITS, annotations=[card]), features=None)
    assert [problem.place for problem in report.problems] == ["class goal", "class substitution"]


def test_actions_a_little_past_the_end_are_counted(write_dataset: Write, tmp_path: Path) -> None:
    root = write_dataset(tmp_path, SPLITS)
    annotate(root, gameTime="1 - 03:29")
    report = check_dataset(root, features=None)
    assert report.problems == ()
    assert report.notices == ("1 action lies after the last frame and counts as on the last frame",)


@pytest.mark.parametrize("copy", [shutil.copyfile, lambda source, target: target.symlink_to(source)])
def test_features_of_one_split_in_another_are_told(
    copy: Callable[[Path, Path], object], write_dataset: Write, tmp_path: Path
) -> None:
    root = write_dataset(tmp_path, SPLITS)
    shutil.copyfile(game(root) / "1_EVENTS.npy", game(root) / "2_EVENTS.npy")
    (game(root, "valid") / "1_EVENTS.npy").unlink()
    copy(game(root) / "1_EVENTS.npy", game(root, "valid") / "1_EVENTS.npy")
    report = check_dataset(root, features=None)
    assert report.problems == () and report.notices == (
        "2 of 8 halves have the features of another one, the first: league/valid/game-0/1_EVENTS.npy those "
        "of league/train/game-0/1_EVENTS.npy of split train; scores on split valid will be too good",
    )


def test_second_half_that_is_a_copy_of_the_first_is_told(write_dataset: Write, tmp_path: Path) -> None:
    root = write_dataset(tmp_path, SPLITS)
    shutil.copyfile(game(root) / "1_EVENTS.npy", game(root) / "2_EVENTS.npy")
    (notice,) = check_dataset(root, features=None).notices
    assert notice.endswith("league/train/game-0/2_EVENTS.npy those of league/train/game-0/1_EVENTS.npy")


def test_annotations_of_a_class_on_one_frame_are_one_action_and_told(
    write_dataset: Write, tmp_path: Path
) -> None:
    root = write_dataset(tmp_path, SPLITS)
    expected = check_dataset(root, features=None).actions
    annotate(root, gameTime="1 - 00:30", position="30200")  # the fixture's card is at 30 s
    report = check_dataset(root, features=None)
    assert report.problems == () and report.actions == expected
    assert report.notices == ("1 action lies on the same frame as another one of the class, and is left out",)


def test_games_in_no_list_are_told(write_dataset: Write, tmp_path: Path) -> None:
    root = write_dataset(tmp_path, SPLITS)
    game(root).rename(tmp_path / "moved")
    game(root).symlink_to(tmp_path / "moved")  # the same game
    assert check_dataset(root, features=None).notices == ()
    (root / "Train 0").mkdir()
    (root / "Train 0" / "Labels.json").write_text('{"annotations": []}')
    report = check_dataset(root, features=None)
    assert report.problems == () and report.notices == (
        "1 folder with labels or features is in no list of a split, so that nothing reads them; the first: "
        "Train 0",
    )
    np.save(root / "Train 0" / "1_EVENTS.npy", np.zeros((30, 4), dtype=np.float32))
    (root / "new").mkdir()
    np.save(root / "new" / "1_EVENTS.npy", np.zeros((30, 4), dtype=np.float32))
    assert check_dataset(root, features=None).notices[0].startswith("2 folders with labels or features")
    some = check_dataset(root, features=None, splits=("train", "valid"), counts=(1, 1))
    assert some.notices == (), "only some games were asked for"


def test_a_folder_without_a_description_cannot_be_checked(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no known data set"):
        check_dataset(tmp_path, features=None)
