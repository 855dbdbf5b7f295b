"""Data folders as people have them: ambiguous, of other clocks, parts and number types, faulty."""

import errno
import tomllib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tomli_w
from soccernet_folder import (
    SPLITS,
    V2,
    halves,
    note,
    opened,
    problems,
    v1_notes,
    v2_notes,
    write_game,
    write_splits,
)

from model.data.checks.check import check_dataset
from model.data.layout.description import builtin_description, read_description, write_description
from model.errors import DataError

# Two versions of the labels.


@pytest.fixture
def both(tmp_path: Path) -> Path:
    root = tmp_path / "both"

    def write(game: str) -> None:
        write_game(root, game, v1_notes(), {}, "Labels.json")
        write_game(root, game, v2_notes(last_s=200), halves("ResNET_PCA512", 600))

    return write_splits(root, write)


def test_of_two_label_versions_the_one_that_is_read_is_named(both: Path) -> None:
    report = check_dataset(both, features="resnet")
    assert report.problems == () and list(report.actions["train"]) == ["goal", "card", "substitution"]
    (notice,) = report.notices
    assert "Labels.json (v1, 3 classes) is read" in notice and "--labels v2" in notice
    assert opened(both).notices == (notice,)


def test_the_other_labels_are_read_when_chosen(both: Path) -> None:
    store = opened(both, labels="v2")
    assert store.classes == V2.classes and store.labels == "v2" and store.notices == ()
    (both / "dataset.toml").write_text('labels = "v2"\n')
    assert opened(both).digest == store.digest
    with pytest.raises(DataError, match="labels v1"):
        read_description(both, "v1")


def test_advice_to_read_the_other_labels_of_a_download_works_when_followed(both: Path) -> None:
    write_description(both, builtin_description("soccernet-v1"))
    with pytest.raises(DataError, match="expected labels v2") as refused:
        opened(both, labels="v2")
    fix = 'write labels = "v2" at the top of dataset.toml, in place of its labels, labels_file, classes and'
    assert fix in refused.value.details["fix"]
    document = tomllib.loads((both / "dataset.toml").read_text())
    kept = {
        key: value
        for key, value in document.items()
        if key not in refused.value.details["fix"].replace(",", "").split()
    }
    (both / "dataset.toml").write_text(tomli_w.dumps({"labels": "v2", **kept}))
    assert opened(both, labels="v2").classes == V2.classes


def test_labels_that_more_games_have_go_first(both: Path) -> None:
    (both / "l/s/train/Labels.json").unlink()
    assert read_description(both).name == "soccernet-v2"


def test_labels_that_no_game_has_cannot_be_chosen(both: Path) -> None:
    for split in SPLITS:
        (both / f"l/s/{split}/Labels.json").unlink()
    with pytest.raises(DataError, match="no game has labels v1"):
        read_description(both, "v1")


def label_files(root: Path, **versions: str) -> Path:
    """One game a split with the versions of labels in its name, such as ``train="12"``."""
    (root / "l").mkdir(parents=True)
    for split, found in versions.items():
        write_game(root, f"l/s/{split}", v1_notes(), halves("X", 600), "Labels.json")
        write_game(root, f"l/s/{split}", v2_notes(last_s=200), {})
        for version, file in (("1", "Labels.json"), ("2", "Labels-v2.json")):
            if version not in found:
                (root / "l/s" / split / file).unlink()
        (root / f"{split}.txt").write_text(f"l/s/{split}\n")
    return root


@pytest.mark.parametrize("labels", [None, "v1", "v2"])
def test_labels_of_which_no_version_covers_all_games_are_told_with_the_games_of_each(
    labels: str | None, tmp_path: Path
) -> None:
    root = label_files(tmp_path / "data", train="1", valid="2", test="2")
    report = check_dataset(root, features="X", labels=labels)
    found = [line for line in problems(report) if "no action" not in line]
    only, without = (
        ("Labels-v2.json (v2)", "l/s/train") if labels == "v1" else ("Labels.json (v1)", "l/s/valid")
    )
    assert len(found) == 1 and "no version of the labels covers all games" in found[0]
    assert f"of 3 games have only {only}" in found[0] and f"the first: {without}; add the missing" in found[0]
    assert not [notice for notice in report.notices if "--labels" in notice]
    with pytest.raises(DataError, match="no version of the labels covers all games"):
        opened(root, "valid" if labels == "v1" else "train", features="X", labels=labels)


def test_version_of_labels_that_some_games_lack_is_not_offered_but_the_one_of_all_is(tmp_path: Path) -> None:
    root = label_files(tmp_path / "data", train="12", valid="2", test="2")
    (notice,) = opened(root, features="X").notices
    assert "Labels-v2.json (v2, 17 classes) is read; 2 of 3 games with it have no Labels.json (v1)" in notice
    with pytest.raises(DataError, match="read the labels v2, which all games have: --labels v2"):
        opened(root, "valid", features="X", labels="v1")
    (root / "dataset.toml").write_text('labels = "v1"\n')
    with pytest.raises(DataError, match=r'which all games have: write labels = "v2" at the top'):
        opened(root, "valid", features="X")


# Two clocks.


def clocked(root: Path, shift_s: float, count: int) -> Path:
    notes = v2_notes(halves=(1,), last_s=600) + v2_notes(halves=(2,), last_s=600)
    for moved in notes[-count:]:
        moved["position"] = str(int(moved["position"]) + int(1000 * shift_s))
    return write_splits(root, lambda game: write_game(root, game, notes, halves("ResNET_PCA512", 6000)))


def test_half_whose_position_counts_from_the_start_of_the_match_is_recognised(tmp_path: Path) -> None:
    root = clocked(tmp_path / "data", 2400.0, 17)
    (problem,) = problems(check_dataset(root, features="resnet"))
    assert '2400 s later than "gameTime" in all 51 actions of half 2 (3 label files' in problem
    assert "subtract 2400000 ms" in problem
    with pytest.raises(DataError, match="has 1 problem"):
        opened(root)


@pytest.mark.parametrize("seconds", [(60, 300, 599), (300, 301)], ids=["over a half", "at once"])
def test_position_in_seconds_contradicts_the_clock_and_stops_a_study(
    seconds: tuple[int, ...], tmp_path: Path
) -> None:
    root, notes = tmp_path / "data", [note(1, second, "Goal", position=second) for second in seconds]
    write_splits(root, lambda game: write_game(root, game, notes, halves("X", 1200, (1,))))
    (problem,) = [line for line in problems(check_dataset(root, features="X")) if '"position"' in line]
    assert problem.endswith('"position" is in seconds: multiply it by 1000')
    with pytest.raises(DataError, match="has 1 problem"):
        opened(root, features="X")


def test_clocks_that_disagree_in_few_annotations_are_told_to_whoever_trains(tmp_path: Path) -> None:
    (notice,) = opened(clocked(tmp_path / "data", 5.0, 3)).notices
    assert "more than 2 s apart in 3 annotations" in notice and "correct one of the two" in notice


def test_halves_shifted_both_ways_are_two_faults(tmp_path: Path) -> None:
    shifts_ms = {"l/s/train": 30_000, "l/s/valid": -30_000, "l/s/test": 0}

    def write(game: str) -> None:
        notes = v2_notes(halves=(1,), last_s=600)
        for moved in notes:
            moved["position"] = str(int(moved["position"]) + shifts_ms[game])
        write_game(root, game, notes, halves("ResNET_PCA512", 6000, (1,)))

    root = tmp_path / "data"
    write_splits(root, write)
    earlier, later = problems(check_dataset(root, features="resnet"))
    assert '30 s earlier than "gameTime"' in earlier and "add 30000 ms here" in earlier
    assert '30 s later than "gameTime"' in later and "subtract 30000 ms here" in later


def test_game_that_cannot_be_opened_hides_no_problem_of_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = clocked(tmp_path / "data", 5.0, 3)
    is_file = Path.is_file

    def refuse(self: Path) -> bool:
        if "valid" in self.parts and self.suffix == ".npy":
            raise PermissionError(errno.EACCES, "Permission denied", str(self))
        return is_file(self)

    monkeypatch.setattr(Path, "is_file", refuse)
    refused, clocks = sorted(problems(check_dataset(root, features="resnet")), key=len)
    assert "Permission denied" in refused
    assert "more than 2 s apart in 6 annotations" in clocks


def test_annotations_whose_clocks_disagree_are_counted_with_the_first(tmp_path: Path) -> None:
    root = clocked(tmp_path / "data", 5.0, 3)
    (problem,) = problems(check_dataset(root, features="resnet"))
    assert "more than 2 s apart in 9 annotations (the first: train, annotation 31: " in problem
    assert problems(check_dataset(clocked(tmp_path / "near", 1.0, 3), features="resnet")) == []


def test_position_past_the_end_is_reported_as_the_clock_it_contradicts(tmp_path: Path) -> None:
    root = clocked(tmp_path / "data", 9000.0, 17)
    (problem,) = problems(check_dataset(root, features="resnet"))
    assert "9000 s later" in problem
    with pytest.raises(DataError, match="9000 s later"):
        opened(root)


# One fault hides no other, and none that follows from it is reported.


def test_bad_annotation_leaves_all_others_counted_and_checked(tmp_path: Path) -> None:
    root = tmp_path / "data"
    notes = v2_notes(last_s=250)[:17]
    bad = [note(1, 60, "Goal", visibility="shown"), note(2, 2000, "Foul"), note(1, 5, "Gaol"), "nonsense"]
    write_splits(
        root,
        lambda game: write_game(
            root, game, notes + (bad if "train" in game else []), halves("ResNET_PCA512", 600)
        ),
    )
    report = check_dataset(root, features="resnet")
    places = [problem.place for problem in report.problems]
    assert places == ["annotation 17", "annotation 19", "annotation 20", "annotation 18"]
    assert report.actions["train"]["goal"] == 1 and report.actions["train"]["foul"] == 2


def test_class_that_only_a_bad_annotation_has_is_not_reported_as_missing(tmp_path: Path) -> None:
    root = tmp_path / "data"
    notes = [one for one in v2_notes(last_s=250) if one["label"] not in ("Goal", "Foul")]
    bad = note(1, 60, "Goal", visibility="shown")
    write_splits(root, lambda game: write_game(root, game, [*notes, bad], halves("ResNET_PCA512", 600)))
    report = check_dataset(root, features="resnet")
    assert [problem.place for problem in report.problems if "train" in problem.file] == [
        "annotation 30",
        "class foul",
    ]


def test_bad_line_of_a_list_leaves_the_other_games_checked(tmp_path: Path) -> None:
    root = tmp_path / "data"
    write_splits(root, lambda game: write_game(root, game, v2_notes(last_s=250), halves("X", 600)))
    np.save(root / "l/s/train/1_X.npy", np.full((600, 3), np.nan, dtype=np.float32))
    (root / "train.txt").write_text("../else\nl/s/train\nl/s/train\n")
    report = check_dataset(root, features="X")
    assert [problem.place for problem in report.problems] == ["line 1", "line 3", "frame 0"]
    assert report.games["train"] == 1


def test_split_without_actions_is_a_problem_and_a_class_without_is_a_notice(tmp_path: Path) -> None:
    root = tmp_path / "data"
    write_splits(root, lambda game: write_game(root, game, v2_notes(last_s=250), halves("X", 600)))
    write_game(root, "l/s/valid", [], {})
    write_game(root, "l/s/test", v2_notes(last_s=250)[:16], {})
    report = check_dataset(root, features="X")
    assert problems(report) == [
        f"{root / 'valid.txt'}: split valid: no action of any class: nothing can be scored"
    ]
    (notice,) = report.notices
    assert "split test has no action of 1 of 17 classes" in notice and "yellow-red-card" in notice


# Parts of a game.


@pytest.mark.parametrize("last", [4, 12])
def test_parts_are_what_the_files_say(last: int, tmp_path: Path) -> None:
    root, parts = tmp_path / "data", range(1, last + 1)
    notes = v2_notes(halves=parts, last_s=200)
    write_splits(root, lambda game: write_game(root, game, notes, halves("X", 600, parts)))
    assert check_dataset(root, features="X").problems == ()
    store = opened(root, features="X")
    assert [half.number for half in store.halves] == list(parts) and len(store.actions) == 17 * last
    (root / "dataset.toml").write_text(f'labels = "v2"\nparts = {last}\n')
    assert opened(root, features="X").halves == store.halves


def test_half_that_no_label_names_may_be_absent_or_empty(tmp_path: Path) -> None:
    root = tmp_path / "data"
    notes = v2_notes(halves=(1,), last_s=200)
    write_splits(root, lambda game: write_game(root, game, notes, halves("X", 600, (1,))))
    np.save(root / "l/s/valid/2_X.npy", np.zeros((0, 3), dtype=np.float32))
    assert check_dataset(root, features="X").problems == ()
    assert [half.number for half in opened(root, features="X").halves] == [1]


def test_listed_game_without_any_frame_is_refused_for_a_study_counts_the_games_of_its_lists(
    tmp_path: Path,
) -> None:
    root = tmp_path / "data"
    write_splits(root, lambda game: write_game(root, game, v2_notes(last_s=200), halves("X", 600)))
    write_game(root, "l/s/empty", [], halves("X", 0))
    (root / "train.txt").write_text("l/s/empty\nl/s/train\n")
    (problem,) = problems(check_dataset(root, features="X"))
    assert "l/s/empty: none of its feature files has a frame" in problem
    with pytest.raises(DataError, match="has 1 problem"):
        opened(root, features="X")


def test_labels_of_a_half_without_features_are_told_with_their_number(tmp_path: Path) -> None:
    root = tmp_path / "data"
    write_splits(root, lambda game: write_game(root, game, v2_notes(last_s=200), halves("X", 600, (1,))))
    found = problems(check_dataset(root, features="X"))
    assert len(found) == 3 and "2_X.npy: missing" in found[0] and "needed for 17 labelled actions" in found[0]
    (root / "dataset.toml").write_text('labels = "v2"\nparts = 1\n')
    report = check_dataset(root, features="X")
    assert report.problems == ()
    assert "51 actions are in halves beyond the 1 that dataset.toml declares" in str(report.notices)


def test_games_with_other_parts_than_most_are_told(tmp_path: Path) -> None:
    root = tmp_path / "data"
    write_splits(root, lambda game: write_game(root, game, v1_notes(), halves("X", 600), "Labels.json"))
    notes = [one for one in v1_notes() if one["gameTime"].startswith("1")]
    write_game(root, "l/s/test", notes, {}, "Labels.json")
    (root / "l/s/test/2_X.npy").unlink()
    assert "1 of 3 games have other halves than 1, 2, the first: l/s/test (1)" in str(
        check_dataset(root, features="X").notices
    )


# Number types and shapes.


@pytest.mark.parametrize(
    "form",
    [
        lambda array: array.astype(np.float64),
        lambda array: array.astype(">f4"),
        lambda array: array.astype(np.int64),
        lambda array: array.astype(np.uint8),
        np.asfortranarray,
        lambda array: array[None],
        lambda array: array[:, :, None, None],
    ],
    ids=["float64", "big-endian", "int64", "uint8", "fortran", "batch", "pooled"],
)
def test_features_of_other_types_and_shapes_hold_the_same_numbers(
    form: Callable[[np.ndarray], np.ndarray], tmp_path: Path
) -> None:
    root = tmp_path / "data"
    values = np.arange(1800, dtype=np.float32).reshape(600, 3) % 251
    arrays = {"1_X": form(values), "2_X": values}
    write_splits(root, lambda game: write_game(root, game, v2_notes(last_s=250), arrays))
    assert check_dataset(root, features="X").problems == ()
    store = opened(root, features="X")
    assert store.features.dtype == np.float32
    np.testing.assert_array_equal(store.features, np.concatenate([values, values]))


@pytest.mark.parametrize(
    ("array", "reason"),
    [
        (np.full((600, 3), 1e39), "expected finite numbers of float32, got inf"),
        (np.full((600, 3), 2**24 + 1), "expected integers up to 16777216"),
        (np.zeros((600, 3), dtype=complex), "expected numbers, got complex128"),
        (np.zeros((600, 3, 2), dtype=np.float32), "features.reshape(frames, -1)"),
    ],
    ids=["too large", "inexact", "complex", "cube"],
)
def test_what_cannot_be_converted_is_refused_with_the_same_reason_everywhere(
    array: np.ndarray, reason: str, tmp_path: Path
) -> None:
    root = tmp_path / "data"
    notes = v2_notes(last_s=250)
    write_splits(root, lambda game: write_game(root, game, notes, {**halves("X", 600), "2_X": array}))
    found = problems(check_dataset(root, features="X"))
    assert len(found) == 3 and all(reason in problem for problem in found)
    with pytest.raises(DataError) as caught:
        opened(root, features="X")
    assert reason in str(caught.value)


# Text files as Windows writes them.


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_byte_order_marks_and_line_ends_of_windows_are_read_over(encoding: str, tmp_path: Path) -> None:
    root = tmp_path / "data"
    write_splits(root, lambda game: write_game(root, game, v2_notes(last_s=250), halves("X", 600)))
    expected = opened(root, features="X").digest
    (root / "dataset.toml").write_text('labels = "v2"\n')
    for file in (*root.glob("*.txt"), *root.glob("*.toml"), *root.rglob("*.json")):
        text = (
            file.read_text()
            .replace("\n", "\r\n")
            .replace("l/s/", "l\\s\\" if file.suffix == ".txt" else "l/s/")
        )
        file.write_bytes(text.encode(encoding))
    assert check_dataset(root, features="X").problems == ()
    assert opened(root, features="X").digest == expected
