"""Splits of a folder in which videos lack features: refused with a remedy, or left out and counted."""

import json
from pathlib import Path

import pytest
from activitynet_folder import (
    POSITIONS,
    TRAINING,
    VALIDATION,
    change_entries,
    change_features,
    change_list,
    remove,
    told,
    write_folder,
)

from model.data.activitynet.annotations import VIDEOS, read_list
from model.data.activitynet.features import feature_file, feature_folder
from model.data.activitynet.selection import choose_listed
from model.data.activitynet.video_store import BuiltSplit, build_splits, open_video_split
from model.errors import DataError

FEATURES = f"csv_mean_{POSITIONS}"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_folder(tmp_path / "data")


def built(
    folder: Path, train: int | None = None, valid: int | None = None, *, skip: bool = False
) -> dict[str, BuiltSplit]:
    counts = {"training": train, "validation": valid}
    return build_splits(folder, counts, folder.parent / "cache", positions=POSITIONS, skip_missing=skip)


def names(split: BuiltSplit) -> list[str]:
    return [video.name for video in open_video_split(split.path).videos]


def refusal(folder: Path, *counts: int, skip: bool = False) -> list[str]:
    with pytest.raises(DataError) as error:
        built(folder, *counts, skip=skip)
    return told(error.value.problems, folder)


def test_missing_features_of_both_subsets_are_refused_at_once_and_can_be_left_out(folder: Path) -> None:
    remove(folder, TRAINING[3], VALIDATION[1])
    (problem,) = refusal(folder)
    assert f"1 of 8 training videos ({TRAINING[3]}) and 1 of 4 validation videos ({VALIDATION[1]})" in problem
    assert "--skip-missing" in problem
    splits = built(folder, skip=True)
    assert {subset: split.left_out for subset, split in splits.items()} == {"training": 1, "validation": 1}
    assert names(splits["training"]) == [*TRAINING[:3], *TRAINING[4:]]
    split = open_video_split(splits["training"].path)
    assert [float(values[0, 0]) for values in split.features] == [0, 1, 2, 4, 5, 6, 7]


def test_left_out_videos_change_the_digest_as_if_they_were_not_listed(folder: Path) -> None:
    whole = open_video_split(built(folder)["training"].path).digest
    assert open_video_split(built(folder, skip=True)["training"].path).digest == whole
    remove(folder, TRAINING[3])
    less = open_video_split(built(folder, skip=True)["training"].path).digest
    assert less != whole
    change_list(folder, lambda lines: [line for line in lines if TRAINING[3] not in line])
    assert open_video_split(built(folder)["training"].path).digest == less


def test_as_many_videos_as_a_study_used_are_the_same_videos_again(folder: Path) -> None:
    """A resumed study asks for its numbers of videos, not for all."""
    remove(folder, TRAINING[3], TRAINING[7])
    first, again = built(folder, skip=True), built(folder, 6, 4, skip=True)
    assert first == again and first["training"].left_out == 2


def test_the_first_videos_that_have_features_are_used(folder: Path) -> None:
    remove(folder, TRAINING[0], TRAINING[2], TRAINING[7])
    split = built(folder, 2, 1, skip=True)["training"]
    assert names(split) == [TRAINING[1], TRAINING[3]]
    assert split.left_out == 2  # the last one is not needed


def test_subset_of_which_no_video_is_wanted_leaves_none_out(folder: Path) -> None:
    remove(folder, TRAINING[0])
    listed, _ = read_list(folder)
    counts = {"training": 0, "validation": None}
    chosen = choose_listed(folder, listed, counts, positions=POSITIONS, skip_missing=True)
    assert (chosen["training"].used, chosen["training"].left_out) == ((), 0)


def test_only_the_videos_that_are_asked_for_need_features_and_annotations(folder: Path) -> None:
    remove(folder, TRAINING[5])
    change_entries(folder, lambda entries: entries.pop(TRAINING[6]))
    assert names(built(folder, 3, 2)["training"]) == TRAINING[:3]
    assert len(refusal(folder)) == 2


def test_too_few_videos_with_features_are_told(folder: Path) -> None:
    remove(folder, *TRAINING[3:])
    assert refusal(folder, 5, 1, skip=True) == [
        f"{VIDEOS}: expected 5 videos of the subset 'training', found 3 with features (5 without were left "
        "out)"
    ]


@pytest.mark.parametrize("skip", [False, True])
def test_a_subset_without_any_feature_file_is_refused_and_advised_to_add_files(
    skip: bool, folder: Path
) -> None:
    remove(folder, *VALIDATION)
    (problem,) = refusal(folder, skip=skip)
    assert problem.startswith(f"{FEATURES}: none of the validation videos of {VIDEOS} has a feature file")
    assert "add the files of these videos" in problem and "skip" not in problem and "remove" not in problem


def test_missing_files_of_one_subset_do_not_hide_those_of_a_subset_without_any(folder: Path) -> None:
    remove(folder, TRAINING[2], *VALIDATION)
    none, some = refusal(folder)
    assert "none of the validation videos" in none
    assert f"1 of 8 training videos ({TRAINING[2]})" in some and "--skip-missing" in some


def test_first_videos_without_files_can_be_left_out_if_later_ones_have_them(folder: Path) -> None:
    remove(folder, *VALIDATION[:2])
    (problem,) = refusal(folder, 2, 2)
    assert "2 of 2 validation videos" in problem and "--skip-missing" in problem
    assert names(built(folder, 2, 2, skip=True)["validation"]) == VALIDATION[2:]


def test_a_missing_folder_of_features_names_the_ones_that_are_there(folder: Path) -> None:
    feature_folder(folder, POSITIONS).rename(folder / "csv_mean_100")
    for skip in (False, True):
        assert refusal(folder, skip=skip) == [
            f"{FEATURES}: no such folder of features of {POSITIONS} positions; there is csv_mean_100: set "
            "positions = 100 under [network] of the study file, or rescale the features"
        ]


def test_faults_in_features_of_both_subsets_are_told_together_with_all_others(folder: Path) -> None:
    for name in (TRAINING[1], VALIDATION[2]):
        change_features(folder, name, lambda lines: [*lines[:3], "1,2", *lines[4:]])
    both = [
        f"{FEATURES}/{name}.csv: line 4: expected 8 numbers, got 2" for name in (TRAINING[1], VALIDATION[2])
    ]
    assert refusal(folder) == both
    change_entries(folder, lambda entries: entries[TRAINING[0]].update(duration_frame=-1))
    remove(folder, TRAINING[4])
    _missing, frames, *features = refusal(folder)
    assert "duration_frame of at least 1, got -1" in frames
    assert features == both


@pytest.mark.parametrize("is_resumed", [False, True])
@pytest.mark.parametrize("skip", [False, True])
def test_a_split_in_the_cache_is_found_and_still_knows_what_was_left_out(
    folder: Path, skip: bool, is_resumed: bool
) -> None:
    if skip:
        remove(folder, TRAINING[3])
    first = built(folder, skip=skip)

    def fail(*_: object) -> None:
        raise AssertionError("features were read again")

    # A resumed study asks for its numbers of videos, not for all.
    counts = {"training": 8 - skip, "validation": 4} if is_resumed else dict.fromkeys(first)
    again = build_splits(
        folder, counts, folder.parent / "cache", positions=POSITIONS, skip_missing=skip, progress=fail
    )
    assert again == first and first["training"].left_out == skip
    assert "expected 9 videos of the subset 'training'" in refusal(folder, 9, 4, skip=skip)[0]


def test_a_file_that_came_later_is_another_data_set(folder: Path) -> None:
    remove(folder, TRAINING[3])
    before = built(folder, 7, 4, skip=True)["training"].path
    content = feature_file(folder, TRAINING[4], POSITIONS).read_text()
    feature_file(folder, TRAINING[3], POSITIONS).write_text(content)
    assert built(folder, 7, 4, skip=True)["training"].path != before
    assert json.loads((before / "meta.json").read_text())["shape"][0] == 7
