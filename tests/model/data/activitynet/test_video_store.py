"""A split of ActivityNet in the cache is one folder: whole, found again, mapped, named by its content."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from model.data.activitynet.annotations import ANNOTATIONS, VIDEOS, Video
from model.data.activitynet.class_scores import CLASS_SCORES, write_class_scores
from model.data.activitynet.features import feature_file
from model.data.activitynet.split import VideoSplit
from model.data.activitynet.synthetic import (
    FeatureGenerator,
    make_class_scores,
    make_videos,
    write_annotations,
    write_synthetic_features,
)
from model.data.activitynet.video_store import build_splits, open_video_split
from model.errors import DataError

POSITIONS, DIMS = 20, 8
CLASSES = ("class 000", "class 001", "class 002")

BUILDER = """
import sys, time
from pathlib import Path
from model.data.activitynet.video_store import build_splits

def pause(what, done, videos):
    print("read", done, flush=True)
    time.sleep(float(sys.argv[3]))

folder, cache = map(Path, sys.argv[1:3])
splits = build_splits(folder, {"training": None}, cache, positions=20, progress=pause)
print(splits["training"].path.name, flush=True)
"""


@pytest.fixture
def videos() -> list[Video]:
    return make_videos({"training": 4, "validation": 3}, classes=3, seed=1)


@pytest.fixture
def folder(tmp_path: Path, videos: list[Video]) -> Path:
    return written(tmp_path / "data", videos)


def written(folder: Path, videos: list[Video]) -> Path:
    write_annotations(folder, videos)
    write_synthetic_features(folder, videos, FeatureGenerator(DIMS, 1), positions=POSITIONS)
    valid = [video for video in videos if video.subset == "validation"]
    scores = make_class_scores(valid, CLASSES, seed=2)
    write_class_scores(folder / CLASS_SCORES, [video.name for video in valid], CLASSES, scores)
    return folder


def built(folder: Path, subset: str = "training", count: int | None = None, **more) -> Path:
    cache = folder.parent / "cache"
    return build_splits(folder, {subset: count}, cache, positions=POSITIONS, **more)[subset].path


def opened(folder: Path, subset: str = "training", count: int | None = None) -> VideoSplit:
    return open_video_split(built(folder, subset, count))


def must_not_build(what: str, done: int, videos: int) -> None:
    raise AssertionError("the split was built again")


def in_cache(folder: Path) -> list[Path]:
    return sorted((folder.parent / "cache").glob("activitynet-*"))


def building(folder: Path) -> list[Path]:
    return [entry for entry in (folder.parent / "cache" / "building").iterdir() if entry.is_dir()]


def builder(folder: Path, *, pause_s: float) -> "subprocess.Popen[str]":
    command = [sys.executable, "-c", BUILDER, str(folder), str(folder.parent / "cache"), str(pause_s)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[4])


def problems_of(error: pytest.ExceptionInfo[DataError]) -> str:
    return "\n".join(map(str, error.value.problems))


def test_a_split_holds_the_videos_of_its_subset_as_they_were_written(
    folder: Path, videos: list[Video]
) -> None:
    split = opened(folder)
    assert [video.name for video in split.videos] == [video.name for video in videos[:4]]
    for ours, theirs in zip(split.videos, videos, strict=False):
        assert (ours.subset, ours.duration_s, ours.frames) == ("training", theirs.duration_s, theirs.frames)
        assert (ours.feature_frames, ours.labels) == (theirs.feature_frames, theirs.labels)
        np.testing.assert_array_equal(ours.segments_s, theirs.segments_s)
    made = np.stack([FeatureGenerator(DIMS, 1)(video, POSITIONS) for video in videos[:4]])
    np.testing.assert_allclose(split.features, made, rtol=1e-4, atol=1e-6)
    assert split.class_scores is None and split.classes == ()


def test_the_validation_split_has_class_scores_where_the_file_lies(folder: Path, videos: list[Video]) -> None:
    split = opened(folder, "validation")
    assert split.classes == CLASSES
    assert split.class_scores is not None
    np.testing.assert_allclose(split.class_scores, make_class_scores(videos[4:], CLASSES, seed=2))
    (folder / CLASS_SCORES).unlink()
    without = opened(folder, "validation")
    assert without.class_scores is None and without.digest != split.digest


def test_a_split_is_mapped_and_cannot_be_written(folder: Path) -> None:
    split = opened(folder, "validation")
    assert isinstance(split.features, np.memmap) and split.features.dtype == np.float32
    assert split.class_scores is not None
    assert not split.features.flags.writeable and not split.class_scores.flags.writeable


def test_the_first_videos_of_the_list_are_taken(folder: Path, videos: list[Video]) -> None:
    two = opened(folder, count=2)
    assert [video.name for video in two.videos] == [video.name for video in videos[:2]]
    np.testing.assert_array_equal(two.features, opened(folder).features[:2])
    assert built(folder, count=4) == built(folder)


def test_the_second_build_reads_nothing(folder: Path) -> None:
    first = built(folder)
    assert built(folder, progress=must_not_build) == first
    assert first.name == f"activitynet-training-{open_video_split(first).digest[:16]}"


def test_a_changed_file_is_another_split(folder: Path, videos: list[Video]) -> None:
    before = opened(folder)
    file = feature_file(folder, videos[0].name, POSITIONS)
    lines = file.read_text().splitlines()
    file.write_text("\n".join([lines[0], ",".join(["7.5"] * DIMS), *lines[2:]]) + "\n")
    after = opened(folder)
    assert (after.features[0, 0] == 7.5).all() and after.digest != before.digest
    content = json.loads((folder / ANNOTATIONS).read_text())
    content[videos[0].name]["annotations"][0]["segment"] = [0.0, 1.0]
    (folder / ANNOTATIONS).write_text(json.dumps(content))
    assert opened(folder).digest != after.digest


def test_the_digest_depends_on_the_content_and_not_on_place_or_time(folder: Path) -> None:
    other = shutil.copytree(folder, folder.parent / "elsewhere")
    read: list[tuple[int, int]] = []
    first = built(folder)
    assert built(other, progress=lambda _what, *counts: read.append(counts)) == first
    assert read == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert len(in_cache(folder)) == 1


def test_missing_features_are_all_named(folder: Path, videos: list[Video]) -> None:
    for video in videos[:3]:
        feature_file(folder, video.name, POSITIONS).unlink()
    with pytest.raises(DataError, match="3 of 4 training videos") as error:
        built(folder)
    assert all(video.name in problems_of(error) for video in videos[:3])


def test_all_spoilt_features_are_reported_and_nothing_is_kept(folder: Path, videos: list[Video]) -> None:
    for video, line in ((videos[1], "1,2"), (videos[3], ",".join(["nan"] * DIMS))):
        file = feature_file(folder, video.name, POSITIONS)
        lines = file.read_text().splitlines()
        file.write_text("\n".join([*lines[:3], line, *lines[4:]]) + "\n")
    with pytest.raises(DataError, match="2 problems") as error:
        built(folder)
    assert f"{videos[1].name}.csv: line 4: expected 8 numbers, got 2" in problems_of(error)
    assert f"{videos[3].name}.csv: line 4: expected finite numbers" in problems_of(error)
    assert not in_cache(folder) and not building(folder)


def test_an_empty_file_is_reported_where_it_is_the_first(folder: Path, videos: list[Video]) -> None:
    feature_file(folder, videos[0].name, POSITIONS).write_text("")
    with pytest.raises(DataError) as error:
        built(folder)
    assert "csv: the file is empty" in problems_of(error)


@pytest.mark.parametrize(
    ("subset", "count", "words"),
    [
        ("training", 5, "expected 5 videos of the subset 'training', found 4"),
        ("training", 0, "expected 0 videos"),
        ("test", None, "expected videos of the subset 'test', found training, validation"),
    ],
)
def test_too_few_videos_say_what_was_expected_and_found(
    folder: Path, subset: str, count: int | None, words: str
) -> None:
    with pytest.raises(DataError, match=words) as error:
        built(folder, subset, count)
    assert str(folder / VIDEOS) in str(error.value)


def test_scores_that_lack_a_class_or_a_video_are_reported(folder: Path, videos: list[Video]) -> None:
    names = [video.name for video in videos[4:6]]
    write_class_scores(folder / CLASS_SCORES, names, ["flying"], np.ones((2, 1)))
    with pytest.raises(DataError) as error:
        built(folder, "validation")
    assert "class: class 'class 001' is missing" in problems_of(error)
    assert f"1 of 3 videos have no scores: {videos[6].name}" in problems_of(error)


def test_no_videos_and_no_activities_are_reported(folder: Path, videos: list[Video]) -> None:
    content = json.loads((folder / ANNOTATIONS).read_text())
    for entry in content.values():
        entry["annotations"] = []
    (folder / ANNOTATIONS).write_text(json.dumps(content))
    with pytest.raises(DataError, match="expected activities in the subset 'training', found none in 4"):
        built(folder)
    (folder / VIDEOS).write_text("video,subset\n")
    with pytest.raises(DataError, match="found no videos at all"):
        built(folder)


@pytest.mark.parametrize("name", ["meta.json", "features.npy", "class_scores.npy"])
@pytest.mark.parametrize("damage", [Path.unlink, lambda file: os.truncate(file, file.stat().st_size - 8)])
def test_a_damaged_split_is_an_error_that_names_the_folder(
    folder: Path, name: str, damage: Callable[[Path], None]
) -> None:
    path = built(folder, "validation")
    damage(path / name)
    with pytest.raises(DataError, match="the cached split of ActivityNet") as error:
        open_video_split(path)
    assert error.value.details["folder"] == str(path)


def test_a_kill_in_the_middle_leaves_nothing_that_is_taken_for_whole(folder: Path) -> None:
    process = builder(folder, pause_s=60.0)
    assert process.stdout is not None and process.stdout.readline() == "read 1\n"
    os.kill(process.pid, signal.SIGKILL)
    process.communicate(timeout=60)
    assert building(folder) and not in_cache(folder)
    assert len(opened(folder).videos) == 4
    assert not building(folder)


def test_two_processes_that_want_a_split_at_once_build_it_once(folder: Path) -> None:
    processes = [builder(folder, pause_s=0.2) for _ in range(2)]
    outputs = [process.communicate(timeout=60)[0].splitlines() for process in processes]
    assert [process.returncode for process in processes] == [0, 0]
    assert sorted(len(lines) for lines in outputs) == [1, 5]
    assert outputs[0][-1] == outputs[1][-1]
