"""Synthetic features for given annotations, and synthetic annotations."""

import hashlib
import json
import zlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from model.data.activitynet.annotations import ANNOTATIONS, VIDEOS, Video
from model.data.activitynet.class_scores import CLASS_SCORES, write_class_scores
from model.data.activitynet.features import Features, feature_file, write_features
from model.documents import parse_json
from model.errors import DataError, Problem, StorageError
from model.files import write_whole

SETTINGS_FILE = "made.json"
"""Name of the file with the settings of a folder that ``make_dataset`` wrote."""
LATE_POSITIONS = 2.0
"""Largest delay of a boundary's trace, in positions; drawn for every boundary."""
TRACE_POSITIONS = 1.5
"""Standard deviation of a trace, in positions."""
_TRACES = 3
_FALSE_TRACES = 2.0


class FeatureGenerator:
    """Generator of synthetic features; all videos of a seed share the traces of activities and boundaries.

    Inside an activity, a direction of its class and a direction of all activities are added to slowly
    changing noise. Every start and end leaves a trace, delayed and of varying strength; a few traces lie
    where no boundary is.

    Args:
        dims: Length of the feature vector of a position.
        seed: Seed of all random numbers.
        noise: Standard deviation of the noise in each number.
    """

    def __init__(self, dims: int, seed: int, *, noise: float = 1.0) -> None:
        self._dims, self._seed, self._noise = dims, seed, noise
        rng = np.random.default_rng([seed, 0])
        self._directions = rng.normal(size=(_TRACES, dims)) / np.sqrt(dims) * 4.0

    def __call__(self, video: Video, positions: int) -> Features:
        """Draw the features (positions, dims) of ``video``, which do not depend on other videos."""
        rng = np.random.default_rng([self._seed, 1, zlib.crc32(video.name.encode())])
        at = np.arange(positions, dtype=np.float64) + 0.5
        features = self._noise * _smooth_noise(rng, positions, self._dims)
        activity, start, end = self._directions
        for (first, last), label in zip(video.shares * positions, video.labels, strict=True):
            inside = 1.0 / (1.0 + np.exp(-2.0 * np.clip(np.minimum(at - first, last - at), -20, 20)))
            features += np.outer(inside * rng.uniform(0.5, 1.2), activity + self._class_direction(label))
            features += np.outer(_trace(rng, at, first), start) + np.outer(_trace(rng, at, last), end)
        for _ in range(rng.poisson(_FALSE_TRACES)):
            direction = self._directions[rng.integers(1, _TRACES)]
            features += np.outer(_trace(rng, at, rng.uniform(0.0, positions)), direction)
        return features.astype(np.float32)

    def _class_direction(self, label: str) -> npt.NDArray[np.float64]:
        rng = np.random.default_rng([self._seed, 2, zlib.crc32(label.encode())])
        return np.asarray(rng.normal(size=self._dims) / np.sqrt(self._dims) * 2.0)


def _trace(rng: np.random.Generator, at: npt.NDArray[np.float64], boundary: float) -> npt.NDArray[np.float64]:
    late = rng.uniform(0.0, LATE_POSITIONS)
    strength = rng.uniform(0.3, 1.5)
    return np.asarray(strength * np.exp(-0.5 * np.square((at - boundary - late) / TRACE_POSITIONS)))


def _smooth_noise(rng: np.random.Generator, positions: int, dims: int) -> npt.NDArray[np.float64]:
    white = rng.normal(size=(positions + 2, dims))
    return np.asarray((white[:-2] + white[1:-1] + white[2:]) / np.sqrt(3.0))


def make_videos(numbers: Mapping[str, int], *, classes: int, seed: int) -> list[Video]:
    """Draw annotated videos; ``numbers`` gives the number of videos per subset.

    As in ActivityNet, a video lasts 5 to 240 s and has one or two activities of one class, each from 1/50 of
    the video to all of it.
    """
    rng = np.random.default_rng([seed, 3])
    names = [(subset, index) for subset, count in numbers.items() for index in range(count)]
    return [_video(rng, f"v_{subset}_{index:05d}", subset, classes) for subset, index in names]


def _video(rng: np.random.Generator, name: str, subset: str, classes: int) -> Video:
    duration_s = float(rng.uniform(5.0, 240.0))
    frames = max(int(duration_s * 30), 16)
    label = f"class {rng.integers(classes):03d}"
    borders = np.sort(rng.uniform(0.0, duration_s, size=2 * int(rng.integers(1, 3)))).reshape(-1, 2)
    longest = np.minimum(
        borders[:, 0] + np.maximum(borders[:, 1] - borders[:, 0], duration_s / 50), duration_s
    )
    segments = np.stack([borders[:, 0], longest], axis=1)
    return Video(name, subset, duration_s, frames, frames // 16 * 16, segments, (label,) * len(segments))


def write_annotations(folder: Path, videos: Sequence[Video]) -> None:
    """Write the two annotation files that ``annotations.read_videos`` reads."""
    folder.mkdir(parents=True, exist_ok=True)
    write_whole(folder / ANNOTATIONS, json.dumps({video.name: _entry(video) for video in videos}).encode())
    header = "video,numFrame,seconds,fps,rfps,subset,featureFrame"
    rows = [
        f"{v.name},{v.frames},{v.duration_s:.2f},30.0,{v.frames / v.duration_s:.4f},{v.subset},"
        f"{v.feature_frames}"
        for v in videos
    ]
    write_whole(folder / VIDEOS, "\n".join([header, *rows, ""]).encode())


def _entry(video: Video) -> dict[str, object]:
    activities = [
        {"segment": segment, "label": label}
        for segment, label in zip(video.segments_s.tolist(), video.labels, strict=True)
    ]
    return {
        "duration_second": video.duration_s,
        "duration_frame": video.frames,
        "annotations": activities,
        "feature_frame": video.feature_frames,
    }


def write_synthetic_features(
    folder: Path,
    videos: Sequence[Video],
    maker: FeatureGenerator,
    *,
    positions: int,
    progress: Callable[[int, int], None] | None = None,
) -> None:
    """Write features, in the published layout, for those ``videos`` that have none yet."""
    feature_file(folder, "", positions).parent.mkdir(parents=True, exist_ok=True)
    for done, video in enumerate(videos, start=1):
        file = feature_file(folder, video.name, positions)
        if not file.is_file():
            write_features(file, maker(video, positions))
        if progress is not None:
            progress(done, len(videos))


def make_class_scores(
    videos: Sequence[Video], classes: Sequence[str], *, seed: int, accuracy: float = 0.88
) -> npt.NDArray[np.float64]:
    """Draw class scores (videos, classes) as from another network, with this top-1 ``accuracy``."""
    rng = np.random.default_rng([seed, 4])
    scores = rng.dirichlet(np.full(len(classes), 0.1), size=len(videos)) * 0.2
    for row, video in zip(scores, videos, strict=True):
        right = classes.index(video.labels[0]) if video.labels else 0
        row[right if rng.uniform() < accuracy else rng.integers(len(classes))] += 0.8
    return np.asarray(scores)


def make_dataset(
    folder: Path,
    videos: Sequence[Video],
    *,
    positions: int,
    dims: int,
    seed: int,
    progress: Callable[[int, int], None] | None = None,
) -> None:
    """Write a data folder for ``video_store.build_splits`` with synthetic features and class scores.

    After a stop at any time, the same call resumes; the folder is not a valid data set before the last file
    is written. Class scores exist for the validation videos and for all classes in ``videos``.

    Args:
        folder: Folder that is empty, missing, or written by the same call before.
        videos: Videos of all subsets.
        positions: Number of temporal positions (T).
        dims: Length of the feature vector of a position.
        seed: Seed of all random numbers.
        progress: Called with (videos done, total videos).

    Raises:
        DataError: The folder contains other files, or was written with other videos or settings.
        StorageError: The folder cannot be written.
    """
    made = {"positions": positions, "dims": dims, "seed": seed, **_summary(videos)}
    valid = [video for video in videos if video.subset == "validation"]
    classes = sorted({label for video in videos for label in video.labels})
    try:
        _claim(folder, made)
        maker = FeatureGenerator(dims, seed)
        write_synthetic_features(folder, videos, maker, positions=positions, progress=progress)
        scores = make_class_scores(valid, classes, seed=seed)
        write_class_scores(folder / CLASS_SCORES, [video.name for video in valid], classes, scores)
        write_annotations(folder, videos)
    except OSError as error:
        raise StorageError(f"cannot write the data: {error.strerror}", folder=folder) from error


def _summary(videos: Sequence[Video]) -> dict[str, object]:
    content = json.dumps([(video.name, video.subset, _entry(video)) for video in videos])
    return {
        "videos": dict(Counter(video.subset for video in videos)),
        "annotations": hashlib.sha256(content.encode()).hexdigest()[:16],
    }


def _claim(folder: Path, made: Mapping[str, object]) -> None:
    """Note in ``folder`` what it is made of: features of two seeds or of other activities must not mix."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / SETTINGS_FILE
    if not file.is_file():
        if any(not entry.name.startswith(".") for entry in folder.iterdir()):
            found = f"expected an empty folder or one with {SETTINGS_FILE}, found other files"
            raise DataError(found, folder=folder, fix="choose another folder")
        write_whole(file, json.dumps(made).encode())
        return
    try:
        before = parse_json(file.read_bytes())
    except ValueError as error:
        raise DataError("the settings file is invalid", [Problem(str(file), "", str(error))]) from None
    if before != made:
        raise DataError(
            "the folder contains features of other videos or settings",
            folder=folder,
            expected=json.dumps(made),
            found=json.dumps(before),
            fix="choose another folder, or delete this one",
        )
