"""The readers of ActivityNet's files: a data folder is used as it lies there, or its problems are named."""

import json
import os
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from fuzz.broken import damaged, files, to_json
from fuzz.cases import FUZZ, outcome
from hypothesis import given, settings
from hypothesis import strategies as st

from model.data.activitynet.annotations import ANNOTATIONS, VIDEOS
from model.data.activitynet.check import VideoReport, check_videos
from model.data.activitynet.class_scores import CLASS_SCORES
from model.data.activitynet.labels import boundary_labels
from model.data.activitynet.video_store import build_splits, open_video_split
from model.errors import DataError, UserError

FOLDERS = settings(FUZZ, max_examples=int(os.environ.get("HPO_FUZZ_CASES", "50")))
"""A case reads a whole folder twice, so the default run has fewer of them."""
POSITIONS, DIMS = 3, 2
NAMES = {"v_a": "training", "v_b": "validation", "v_c": "training"}
COUNTS: dict[str, int | None] = {"training": None, "validation": None}

times = st.floats(0, 60, allow_nan=False)
activity = st.fixed_dictionaries({"segment": st.tuples(times, times).map(sorted), "label": st.just("x")})
entry = st.fixed_dictionaries(
    {
        "duration_second": st.floats(60, 90),
        "duration_frame": st.integers(1, 5000),
        "feature_frame": st.integers(1, 5000),
        "annotations": st.lists(activity, min_size=1, max_size=2),
    }
)
annotations = st.fixed_dictionaries({name: entry for name in NAMES})
class_scores = st.fixed_dictionaries(
    {
        "results": st.fixed_dictionaries({"b": st.lists(st.floats(0, 1), min_size=2, max_size=2)}),
        "class": st.just(["x", "y"]),
    }
)
cells = st.one_of(
    st.floats(width=32).map(str), st.sampled_from(("1", "-0.5", " 2", "1e39", "", "x", "1_0", "٣", '"1"'))
)
numbers = st.lists(st.lists(st.floats(-9, 9).map(str), min_size=2, max_size=2), min_size=3, max_size=3)
table = st.one_of(numbers, st.lists(st.lists(cells, max_size=4), max_size=5)).map(
    lambda rows: "\n".join(["f0,f1", *map(",".join, rows), ""]).encode("utf-8", "replace")
)
names = st.sampled_from((*NAMES, "v_d", "../v", "", "v/a", "v" * 300, "v\x00", "\ufeffv_a", '"v_a', "ü"))
subsets = st.sampled_from(("training", "validation", "testing", "train", "", " training "))
rows = st.one_of(st.tuples(names, subsets).map(",".join), st.text(max_size=12))
video_list = st.lists(rows, max_size=6).map(
    lambda lines: "\n".join(["video,subset", *lines]).encode("utf-8", "replace")
)


def sound(folder: Path) -> Path:
    """A data folder without faults."""
    content = {
        name: {
            "duration_second": 60.0,
            "duration_frame": 100,
            "feature_frame": 96,
            "annotations": [{"segment": [1.0, 20.0], "label": "x"}],
        }
        for name in NAMES
    }
    (folder / f"csv_mean_{POSITIONS}").mkdir()
    for name in NAMES:
        (folder / f"csv_mean_{POSITIONS}" / f"{name}.csv").write_text("f0,f1\n1,2\n3,4\n5,6\n")
    (folder / ANNOTATIONS).write_text(json.dumps(content))
    lines = [",".join(pair) for pair in NAMES.items()]
    (folder / VIDEOS).write_text("\n".join(["video,subset", *lines, ""]))
    return folder


def opened(file: str, content: bytes, *, named: str) -> None:
    """A folder with ``content`` in one file is read whole, or the error names the file; the check agrees."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary, "data")
        folder.mkdir()
        sound(folder)
        (folder / file).write_bytes(content)
        built = outcome(lambda: build_splits(folder, COUNTS, Path(temporary, "cache"), positions=POSITIONS))
        checked = outcome(lambda: check_videos(folder))
        assert isinstance(checked, VideoReport)
        if isinstance(built, UserError):
            assert isinstance(built, DataError) and built.problems
            assert any(named in problem.file for problem in built.problems)
            # Videos without any activity are no fault, but no split either.
            assert checked.problems or any("expected activities" in p.message for p in built.problems)
            return
        usable(*(open_video_split(split.path) for split in built.values()))


def usable(*splits: Any) -> None:
    for split in splits:
        assert split.features.shape[1:] == (POSITIONS, DIMS) and np.isfinite(split.features).all()
        for video in split.videos:
            labels = boundary_labels(video.shares, POSITIONS)
            assert all(np.isfinite(value).all() for value in (labels.start, labels.end, labels.overlap))
        if split.class_scores is not None:
            assert ((split.class_scores >= 0) & (split.class_scores <= 1)).all()


@FOLDERS
@given(files(annotations, to_json))
def test_annotations_give_videos_or_name_their_faults(content: bytes) -> None:
    opened(ANNOTATIONS, content, named=ANNOTATIONS if b"v_" not in content else "")


@FOLDERS
@given(st.one_of(video_list, damaged(video_list), st.binary(max_size=60)))
def test_lists_give_videos_or_name_their_faults(content: bytes) -> None:
    opened(VIDEOS, content, named="")


@FOLDERS
@given(st.one_of(table, damaged(table), st.binary(max_size=60)))
def test_features_are_finite_numbers_or_their_faults_are_named(content: bytes) -> None:
    opened(f"csv_mean_{POSITIONS}/v_a.csv", content, named=f"csv_mean_{POSITIONS}")


@FOLDERS
@given(files(class_scores, to_json))
def test_class_scores_are_scores_or_their_faults_are_named(content: bytes) -> None:
    opened(CLASS_SCORES, content, named=CLASS_SCORES)
