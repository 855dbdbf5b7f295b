"""The published layout of ActivityNet is read, its faults are named, and made features follow annotations."""

import json
import os
from pathlib import Path

import numpy as np
import pytest

from model.data.activitynet.annotations import ANNOTATIONS, VIDEOS, Video, read_videos
from model.data.activitynet.class_scores import read_class_scores, write_class_scores
from model.data.activitynet.features import feature_file, read_features
from model.data.activitynet.labels import boundary_labels
from model.data.activitynet.synthetic import (
    FeatureGenerator,
    make_class_scores,
    make_dataset,
    make_videos,
    write_annotations,
    write_synthetic_features,
)
from model.errors import DataError, StorageError

REAL = Path(os.environ.get("HPO_ACTIVITYNET_DIR") or Path(__file__).parents[5] / "shared/data/activitynet")
POSITIONS, DIMS = 20, 8


@pytest.fixture
def videos() -> list[Video]:
    return make_videos({"training": 4, "validation": 2}, classes=3, seed=1)


@pytest.fixture
def folder(tmp_path: Path, videos: list[Video]) -> Path:
    write_annotations(tmp_path, videos)
    write_synthetic_features(tmp_path, videos, FeatureGenerator(DIMS, 1), positions=POSITIONS)
    return tmp_path


def problems_of(error: pytest.ExceptionInfo[DataError]) -> str:
    return "\n".join(map(str, error.value.problems))


def test_what_is_written_is_read(folder: Path, videos: list[Video]) -> None:
    read = read_videos(folder)
    assert [(v.name, v.subset, v.labels, v.frames) for v in read] == [
        (v.name, v.subset, v.labels, v.frames) for v in videos
    ]
    for ours, theirs in zip(read, videos, strict=True):
        np.testing.assert_array_equal(ours.segments_s, theirs.segments_s)
        features = read_features(feature_file(folder, ours.name, POSITIONS), positions=POSITIONS, dims=DIMS)
        made = FeatureGenerator(DIMS, 1)(theirs, POSITIONS)
        np.testing.assert_allclose(features, made, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda lines: lines[:-1], "19 lines of features below the header line"),
        (lambda lines: lines[:1], "0 lines of features below the header line"),
        (lambda lines: [line.rpartition(",")[0] for line in lines], "^7 numbers per line$"),
        (lambda lines: [], "the file is empty"),
        (lambda lines: [lines[1], *lines[2:]], "line 1: expected a header line above the features"),
        (lambda lines: [*lines[:3], "1,2", *lines[4:]], "line 4: expected 8 numbers, got 2"),
        (
            lambda lines: [*lines[:2], lines[2].rpartition(",")[0] + ",nan", *lines[3:]],
            "line 3: expected fin",
        ),
        (lambda lines: [*lines[:2], lines[2].rpartition(",")[0] + ",x", *lines[3:]], "float32, got 'x'"),
        (lambda lines: [*lines[:2], lines[2].rpartition(",")[0] + ",1_0", *lines[3:]], "float32, got '1_0'"),
    ],
)
def test_spoilt_features_name_the_line(folder: Path, videos: list[Video], spoil, words: str) -> None:
    file = feature_file(folder, videos[0].name, POSITIONS)
    file.write_text("\n".join(spoil(file.read_text().splitlines())) + "\n")
    with pytest.raises(ValueError, match=words):
        read_features(file, positions=POSITIONS, dims=DIMS)


def test_every_fault_of_the_annotations_is_named_with_its_place(folder: Path, videos: list[Video]) -> None:
    content = json.loads((folder / ANNOTATIONS).read_text())
    first, second, third, fourth = (video.name for video in videos[:4])
    content[first]["annotations"][0]["segment"] = [9.0, 3.0]
    content[second]["duration_frame"] = 0
    del content[third]
    content[fourth]["feature_frame"] = 3 * content[fourth]["duration_frame"]
    (folder / ANNOTATIONS).write_text(json.dumps(content))
    with pytest.raises(DataError) as error:
        read_videos(folder)
    text = problems_of(error)
    assert len(error.value.problems) == 4
    assert f"{first}, annotation 1" in text
    assert f"{fourth}: expected feature_frame of at most 2 times duration_frame, got " in text
    assert f"{second}: expected duration_frame of at least 1, got 0" in text
    assert f"{VIDEOS}: line 4: video {third!r} has no entry" in text


def test_files_of_another_kind_are_refused(folder: Path) -> None:
    (folder / VIDEOS).write_text("a,b\n1,2\n")
    with pytest.raises(DataError) as error:
        read_videos(folder)
    assert "line 1: expected columns video and subset, separated by commas, got 'a,b'" in problems_of(error)
    (folder / VIDEOS).unlink()
    with pytest.raises(DataError, match=f"expected {VIDEOS} in the folder, found none"):
        read_videos(folder)


def test_a_name_that_leads_out_of_the_folder_is_refused(folder: Path) -> None:
    table = (folder / VIDEOS).read_text().splitlines()
    (folder / VIDEOS).write_text("\n".join([*table, "../v_outside,1,1,1,1,training,1"]) + "\n")
    with pytest.raises(DataError) as error:
        read_videos(folder)
    assert "line 8: expected a name without a folder, got '../v_outside'" in problems_of(error)


def test_features_do_not_depend_on_other_videos_but_on_the_seed(videos: list[Video]) -> None:
    maker = FeatureGenerator(DIMS, 5)
    alone = FeatureGenerator(DIMS, 5)(videos[3], POSITIONS)
    maker(videos[0], POSITIONS)
    np.testing.assert_array_equal(maker(videos[3], POSITIONS), alone)
    assert not np.array_equal(FeatureGenerator(DIMS, 6)(videos[3], POSITIONS), alone)


def test_a_folder_that_cannot_be_made_is_an_error_for_the_user(tmp_path: Path, videos: list[Video]) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="cannot write the data"):
        make_dataset(tmp_path / "file" / "to", videos, positions=POSITIONS, dims=DIMS, seed=1)


def test_boundaries_leave_traces_that_come_late() -> None:
    """So much more is left after an end than before a start that both come late; without noise."""
    maker, segments = FeatureGenerator(16, 3, noise=0.0), np.array([[30.0, 70.0]])
    videos = [Video(f"v_{index}", "training", 100.0, 1600, 1600, segments, ("a",)) for index in range(400)]
    mean = np.mean([maker(video, 100) for video in videos], axis=0)
    # False traces come everywhere alike: they are what is seen far from the activity.
    trace = np.linalg.norm(mean - mean[np.r_[5:20, 80:95]].mean(axis=0), axis=1)
    before, after, far = trace[25:28], trace[72:75][::-1], trace[80:95]
    assert after.min() > 3 * far.max()
    assert after[-1] > 4 * before[-1]


def test_class_scores_are_read_in_the_order_of_the_videos_asked_for(
    tmp_path: Path, videos: list[Video]
) -> None:
    names, classes = [v.name for v in videos], ("class 002", "class 000", "class 001")
    scores = make_class_scores(videos, classes, seed=2, accuracy=1.0)
    file = tmp_path / "scores.json"
    write_class_scores(file, names, classes, scores)
    read = read_class_scores(file, names[::-1], {"class 001"})
    assert read.classes == classes
    np.testing.assert_allclose(read.scores, scores[::-1])
    assert [classes[row.argmax()] for row in scores] == [video.labels[0] for video in videos]
    with pytest.raises(DataError) as error:
        read_class_scores(file, ["v_none"], {"flying"})
    assert "'flying' is missing" in problems_of(error)
    assert "1 of 1 videos have no scores: v_none" in problems_of(error)


def test_class_that_the_class_scores_list_twice_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "scores.json"
    write_class_scores(file, ["v_a"], ["surfing", "diving", "surfing"], np.zeros((1, 3)))
    with pytest.raises(DataError) as error:
        read_class_scores(file, ["v_a"], {"surfing"})
    assert "class 'surfing' is listed 2 times, expected once" in problems_of(error)


def test_labels_overlap_exactly_what_is_annotated() -> None:
    labels = boundary_labels(np.array([[0.2, 0.5]]), 10)
    assert labels.overlap[2, 4] == pytest.approx(1.0)
    assert (np.tril(labels.overlap, -1) == 0).all()
    np.testing.assert_allclose(labels.start, [0, 1, 1, 1, 0, 0, 0, 0, 0, 0], atol=1e-6)
    np.testing.assert_allclose(labels.end, [0, 0, 0, 0, 1, 1, 1, 0, 0, 0], atol=1e-6)
    empty = boundary_labels(np.empty((0, 2)), 10)
    assert empty.start.max() == empty.end.max() == empty.overlap.max() == 0.0


@pytest.mark.skipif(not REAL.is_dir(), reason=f"no annotations of ActivityNet at {REAL}")
def test_all_real_annotations_are_read() -> None:
    videos = read_videos(REAL)
    assert len(videos) > 19_000
    assert {video.subset for video in videos} == {"training", "validation", "testing"}
    assert all((video.shares[:, 0] <= video.shares[:, 1]).all() for video in videos)
    assert len({label for video in videos for label in video.labels}) == 200
