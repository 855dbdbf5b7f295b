"""A folder of ActivityNet is checked to its end: every fault is told once, and no fault hides another."""

from pathlib import Path

import numpy as np
import pytest
from activitynet_folder import (
    DIMS,
    POSITIONS,
    TRAINING,
    VALIDATION,
    change_entries,
    change_features,
    change_list,
    told,
    write_folder,
    write_numbers,
)

from model.data.activitynet.annotations import ANNOTATIONS, VIDEOS
from model.data.activitynet.check import check_videos, is_activitynet
from model.data.activitynet.class_scores import CLASS_SCORES, write_class_scores
from model.data.activitynet.features import feature_file, feature_folder
from model.errors import ConfigError

SKIP = (
    "download the files, leave these videos out with --skip-missing (skip_missing = true under [data] of the "
    "study file), or remove their lines from video_info_new.csv"
)
FEATURES = f"csv_mean_{POSITIONS}"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_folder(tmp_path / "data")


def problems_of(folder: Path) -> list[str]:
    return told(check_videos(folder).problems, folder)


def test_a_sound_folder_has_its_counts_and_no_problem(folder: Path) -> None:
    write_class_scores(folder / CLASS_SCORES, VALIDATION, ["Surfing", "Diving"], np.full((4, 2), 0.5))
    report = check_videos(folder)
    assert report.problems == ()
    assert report.videos == {"training": 8, "validation": 4, "testing": 0}
    assert report.activities == {"training": 8, "validation": 4, "testing": 0}
    assert report.features == {FEATURES: {"training": 8, "validation": 4}}
    assert report.dims == {FEATURES: DIMS} and report.classes == 1 and report.scores


def test_only_folders_with_a_file_of_activitynet_are_taken_for_one(folder: Path, tmp_path: Path) -> None:
    assert is_activitynet(folder)
    for part in (ANNOTATIONS, VIDEOS, FEATURES):
        alone = tmp_path / f"only-{part}"
        alone.mkdir()
        assert not is_activitynet(alone)
        (alone / part).mkdir()
        assert is_activitynet(alone)
    (folder / "dataset.toml").write_text("")
    assert not is_activitynet(folder) and not is_activitynet(tmp_path / "nowhere")


def test_missing_features_of_both_subsets_are_one_problem_with_counts_and_remedy(folder: Path) -> None:
    for name in (TRAINING[3], VALIDATION[1]):
        feature_file(folder, name, POSITIONS).unlink()
    assert problems_of(folder) == [
        f"{FEATURES}: no feature file for 1 of 8 training videos ({TRAINING[3]}) and 1 of 4 validation "
        f"videos ({VALIDATION[1]}); {SKIP}"
    ]


def test_many_missing_features_are_counted(folder: Path) -> None:
    for name in TRAINING[:7]:
        feature_file(folder, name, POSITIONS).unlink()
    (problem,) = problems_of(folder)
    assert (
        "7 of 8 training videos (v_video00, v_video01, v_video02, v_video03, v_video04 and 2 more)" in problem
    )
    assert "validation" not in problem


@pytest.mark.parametrize(
    ("lines", "fix"),
    [
        (12, f"rescale them to {POSITIONS} positions, or download them again if they are incomplete"),
        (33, f"rescale them to {POSITIONS} positions"),
        (0, "download them again"),
    ],
)
def test_files_of_another_length_are_one_problem(folder: Path, lines: int, fix: str) -> None:
    for name in (TRAINING[1], VALIDATION[0]):
        write_numbers(folder, name, np.ones((lines, DIMS)))
    assert problems_of(folder) == [
        f"{FEATURES}: 2 of 12 files have {lines} lines of features below the header line, expected "
        f"{POSITIONS}: {TRAINING[1]}.csv, {VALIDATION[0]}.csv; {fix}"
    ]


def test_all_files_of_another_length_belong_into_another_folder(folder: Path) -> None:
    for name in [*TRAINING, *VALIDATION]:
        write_numbers(folder, name, np.ones((12, DIMS)))
    (problem,) = problems_of(folder)
    assert "12 of 12 files have 12 lines" in problem
    assert "or name the folder csv_mean_12 and set positions = 12 under [network]" in problem


@pytest.mark.parametrize("odd", [TRAINING[0], TRAINING[5], VALIDATION[3]])
def test_the_odd_file_is_the_one_of_another_width(folder: Path, odd: str) -> None:
    write_numbers(folder, odd, np.ones((POSITIONS, DIMS + 4)))
    assert problems_of(folder) == [
        f"{FEATURES}: 1 of 12 files has {DIMS + 4} numbers per line, expected {DIMS} as in most files: "
        f"{odd}.csv; use features of one kind only"
    ]


def test_every_bad_line_of_a_feature_file_is_named(folder: Path) -> None:
    def spoil(lines: list[str]) -> list[str]:
        lines[2] = lines[2].replace("0,", "nan,", 1)
        lines[5] = "1,2"
        lines[7] = ""
        lines[9] = lines[9].replace("0", "1e39", 1)
        return lines

    change_features(folder, TRAINING[0], spoil)
    place = f"{FEATURES}/{TRAINING[0]}.csv"
    assert problems_of(folder) == [
        f"{place}: line 3: expected finite numbers of float32, got 'nan'",
        f"{place}: line 6: expected {DIMS} numbers, got 2",
        f"{place}: line 8: expected {DIMS} numbers, got 0",
        f"{place}: line 10: expected finite numbers of float32, got '1e39'",
    ]


def test_no_fault_hides_another(folder: Path) -> None:
    """One fault of every kind, each told once and none of them by what follows from it."""

    def spoil(entries: dict) -> None:
        entries[TRAINING[0]]["annotations"].append({"segment": [40.0, 90.0], "label": "Surfing"})
        entries[TRAINING[0]]["annotations"].append({"segment": [40.0, 20.0], "label": None})
        entries[TRAINING[1]]["duration_second"] = "60"
        entries[VALIDATION[0]] = []
        del entries[VALIDATION[1]]
        entries["v_unlisted"] = {}

    change_entries(folder, spoil)
    more = ("v_x,60,train", "v_y", "../v,1,training")
    change_list(
        folder,
        lambda lines: [*lines, f"{TRAINING[2]},60,validation", *more],
    )
    feature_file(folder, TRAINING[3], POSITIONS).unlink()
    change_features(folder, TRAINING[4], lambda lines: [*lines[:4], "1,x", *lines[5:]])
    write_class_scores(folder / CLASS_SCORES, VALIDATION[:3], ["Diving"], np.full((3, 1), 0.5))
    report = check_videos(folder)
    assert report.unlisted == 1
    assert told(report.problems, folder) == [
        f"{VIDEOS}: line 16: expected at least 3 columns, got 1",
        f"{VIDEOS}: line 17: expected a name without a folder, got '../v'",
        f"{VIDEOS}: line 15: unknown subset 'train' (expected training, validation, testing)",
        f"{VIDEOS}: line 14: listed before: {TRAINING[2]} (line 4, training); delete one line of each",
        f"{VIDEOS}: line 11: video '{VALIDATION[1]}' has no entry in {ANNOTATIONS}; remove these lines, or "
        "add the entries",
        f"{ANNOTATIONS}: {TRAINING[0]}, annotation 2: expected a segment inside the video of 60 s, got "
        "[40.0, 90.0], which ends after it; correct the segment or duration_second",
        f"{ANNOTATIONS}: {TRAINING[0]}, annotation 3: expected a segment with its start at or before its "
        "end, got [40.0, 20.0]",
        f"{ANNOTATIONS}: {TRAINING[0]}, annotation 3: expected a label, got None",
        f"{ANNOTATIONS}: {TRAINING[1]}: expected duration_second of at least 0.01, got '60'",
        f"{ANNOTATIONS}: {VALIDATION[0]}: expected an object with duration_second, duration_frame, "
        "feature_frame and annotations, got []",
        f"{CLASS_SCORES}: class: class 'Surfing' is missing",
        f"{CLASS_SCORES}: results: 1 of 2 videos have no scores: {VALIDATION[3]}; use the file that "
        "covers these videos, or remove it to train without class scores",
        f"{FEATURES}: no feature file for 1 of 8 training videos ({TRAINING[3]}); {SKIP}",
        f"{FEATURES}/{TRAINING[4]}.csv: line 5: expected {DIMS} numbers, got 2",
    ]


@pytest.mark.parametrize(
    ("segment", "words"),
    [
        ([-1.0, 5.0], "starts before 0 s"),
        ([70.0, 80.0], "lies after it"),
        ([50.0, 63.0], "ends after it"),
        ([1.0], "expected a segment [start, end] in seconds, got [1.0]"),
        ([True, 5.0], "expected a segment [start, end] in seconds"),
        (["1", "5"], "expected a segment [start, end] in seconds"),
    ],
)
def test_segments_outside_the_video_are_problems(folder: Path, segment: list, words: str) -> None:
    change_entries(folder, lambda entries: entries[TRAINING[0]]["annotations"][0].update(segment=segment))
    (problem,) = problems_of(folder)
    assert words in problem


def test_nan_and_doubled_keys_do_not_hide_the_other_entries(folder: Path) -> None:
    file = folder / ANNOTATIONS
    text = file.read_text().replace("[10.0, 30.0]", "[NaN, 30.0]", 1).replace("60.0", f"1{'0' * 400}", 1)
    file.write_text(text.replace(f'"{VALIDATION[0]}"', f'"{VALIDATION[1]}"'))
    assert problems_of(folder) == [
        f"{ANNOTATIONS}: key '{VALIDATION[1]}' appears twice in one object",
        f"{VIDEOS}: line 10: video '{VALIDATION[0]}' has no entry in {ANNOTATIONS}; remove these lines, or "
        "add the entries",
        f"{ANNOTATIONS}: {TRAINING[0]}: expected duration_second of at least 0.01, got inf",
        f"{ANNOTATIONS}: {TRAINING[0]}, annotation 1: expected a segment [start, end] in seconds, got "
        "[nan, 30.0]",
    ]


def test_segments_that_end_shortly_after_the_video_are_counted(folder: Path) -> None:
    change_entries(
        folder, lambda entries: entries[TRAINING[0]]["annotations"][0].update(segment=[50.0, 60.9])
    )
    report = check_videos(folder)
    assert report.problems == () and report.past_end == 1


def test_files_as_windows_writes_them_are_read(folder: Path) -> None:
    write_class_scores(folder / CLASS_SCORES, VALIDATION, ["Surfing"], np.full((4, 1), 0.5))
    before = check_videos(folder)
    for file in folder.rglob("*.*"):
        if file.is_file():
            file.write_bytes(b"\xef\xbb\xbf" + file.read_bytes().replace(b"\n", b"\r\n") + b"\r\n\r\n")
    assert check_videos(folder) == before and before.problems == ()


@pytest.mark.parametrize("name", [ANNOTATIONS, VIDEOS, CLASS_SCORES])
def test_file_in_utf_16_is_read(folder: Path, name: str) -> None:
    write_class_scores(folder / CLASS_SCORES, VALIDATION, ["Surfing"], np.full((4, 1), 0.5))
    before = check_videos(folder)
    (folder / name).write_bytes((folder / name).read_text().encode("utf-16"))
    assert check_videos(folder) == before and before.problems == ()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "expected columns video and subset, got an empty file"),
        (b"video;subset\nv_a;training\n", "separated by commas, got 'video;subset'"),
        (b"v_a,training\n", "separated by commas, got 'v_a,training'"),
        (b"video,subset\n", "expected videos of the subset 'training', found no videos at all"),
        (b"video,subset\nv_video00,testing\n", "expected videos of the subset 'validation', found testing"),
        (b"video,subset\nv_\xff,training\n", "line 2: expected text in UTF-8"),
        (
            b'video,subset\n"v_video00,training\nv_video01,training\n',
            "line 2: expected at least 2 columns, got 1",
        ),
    ],
)
def test_faults_of_the_list_are_named(folder: Path, content: bytes, words: str) -> None:
    (folder / VIDEOS).write_bytes(content)
    assert any(words in problem for problem in problems_of(folder)), problems_of(folder)


def test_a_missing_list_does_not_make_features_or_entries_wrong(folder: Path) -> None:
    (folder / VIDEOS).unlink()
    report = check_videos(folder)
    assert told(report.problems, folder) == [f"{VIDEOS}: expected {VIDEOS} in the folder, found none"]
    assert report.unlisted == 0


def test_missing_annotations_do_not_hide_missing_features(folder: Path) -> None:
    (folder / ANNOTATIONS).unlink()
    feature_file(folder, TRAINING[3], POSITIONS).unlink()
    first, second = problems_of(folder)
    assert first == f"{ANNOTATIONS}: expected {ANNOTATIONS} in the folder, found none"
    assert second.startswith(f"{FEATURES}: no feature file for 1 of 8 training videos")


def test_annotations_of_other_videos_are_one_problem(folder: Path) -> None:
    (folder / ANNOTATIONS).write_text('{"v_other": {}}')
    (problem,) = problems_of(folder)
    assert "12 videos have no entry" in problem
    assert problem.endswith("that file has 1 other videos (v_other); use two files of the same release")


def test_activitynets_own_file_is_told_apart(folder: Path) -> None:
    change_entries(folder, lambda entries: entries.update(database={}))
    (problem,) = problems_of(folder)
    assert "this is ActivityNet's own file" in problem


def test_a_subset_written_otherwise_is_one_problem(folder: Path) -> None:
    change_list(folder, lambda lines: [line.replace("training", "train") for line in lines])
    (problem,) = problems_of(folder)
    assert problem == (
        f"{VIDEOS}: lines 2, 3, 4, 5, 6 and 3 more: unknown subset 'train' "
        "(expected training, validation, testing)"
    )


def test_testing_videos_need_neither_entry_nor_features(folder: Path) -> None:
    change_list(folder, lambda lines: [*lines, "v_secret,60,testing"])
    assert problems_of(folder) == []


def test_every_folder_of_features_is_checked_unless_one_is_chosen(folder: Path) -> None:
    write_numbers(folder, TRAINING[0], np.ones((5, DIMS)), positions=5)
    report = check_videos(folder)
    assert report.features["csv_mean_5"] == {"training": 1, "validation": 0}
    none, some = told(report.problems, folder)
    assert none.startswith("csv_mean_5: none of the validation videos")
    assert some.startswith("csv_mean_5: no feature file for 7 of 8 training videos")
    assert check_videos(folder, features=FEATURES).problems == ()
    with pytest.raises(ConfigError, match="expected --features csv_mean_T"):
        check_videos(folder, features="resnet")


def test_a_length_that_the_network_does_not_take_is_told(folder: Path) -> None:
    for name in [*TRAINING, *VALIDATION]:
        write_numbers(folder, name, np.ones((POSITIONS, 6)))
    (problem,) = problems_of(folder)
    assert problem.startswith(f"{FEATURES}: the network needs a multiple of 4 numbers per position, got 6")


@pytest.mark.parametrize("dims", [DIMS - 1, DIMS], ids=["as wide as expected", "one column wider"])
@pytest.mark.parametrize("name", ["", "Unnamed: 0"])
def test_column_of_line_numbers_is_told_and_is_no_feature(folder: Path, name: str, dims: int) -> None:
    def numbered(lines: list[str]) -> list[str]:
        return [f"{first},{line}" for first, line in zip([name, *range(POSITIONS)], lines, strict=True)]

    for video in [*TRAINING, *VALIDATION]:
        write_numbers(folder, video, np.ones((POSITIONS, dims)))
        change_features(folder, video, numbered)
    (problem,) = problems_of(folder)
    assert "12 of 12 files have a first column that numbers the lines: v_video" in problem
    assert problem.endswith("save them without it, in pandas with to_csv(file, index=False)")


def test_first_feature_that_counts_up_is_a_feature_where_it_has_a_name(folder: Path) -> None:
    values = np.ones((POSITIONS, DIMS))
    values[:, 0] = np.arange(POSITIONS)
    write_numbers(folder, TRAINING[0], values)
    assert problems_of(folder) == []


def test_features_in_a_folder_of_the_same_name_inside_are_found(folder: Path) -> None:
    outer = feature_folder(folder, POSITIONS)
    inner = outer.rename(folder / "moved")
    outer.mkdir()
    inner.rename(outer / outer.name)
    (problem,) = problems_of(folder)
    assert problem.endswith(f"the files are in another folder {FEATURES} inside this one: move them up")


def test_files_of_other_names_are_shown(folder: Path) -> None:
    for file in feature_folder(folder, POSITIONS).iterdir():
        file.rename(file.with_name(file.name.removeprefix("v_")))
    (problem,) = problems_of(folder)
    assert "none of the training and validation videos" in problem
    assert "the folder has 12 .csv files (video00.csv, " in problem
