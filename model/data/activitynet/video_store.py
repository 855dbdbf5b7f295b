"""Memory-mapped cache of one split of ActivityNet: features, class scores and annotations in one folder."""

import hashlib
import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from model.data.activitynet.annotations import ANNOTATIONS, VIDEOS, Video, first_videos, read_videos
from model.data.activitynet.class_scores import CLASS_SCORES, ClassScores, read_class_scores
from model.data.activitynet.features import feature_file, header_dims, read_features
from model.data.activitynet.split import VideoSplit
from model.data.cache import cached_folder, check_space, sync
from model.documents import parse_json
from model.errors import DataError, Problem

STORE_FORMAT = 1
"""Version of the store's files; digests and fingerprints include it, so a new version builds a new store."""

Progress = Callable[[int, int], None]


def build_split(
    folder: Path,
    subset: str,
    cache: Path,
    *,
    positions: int,
    count: int | None,
    progress: Progress | None = None,
) -> Path:
    """Return the folder in ``cache`` of one split, for ``open_video_split``, and build it if it is missing.

    If two processes request the same split at once, one builds it and the other waits. If no file has
    changed in size or time, no data is read.

    Args:
        folder: Annotations, features and class scores in the published layout.
        subset: ``training`` or ``validation``; class scores, if there are any, belong to the latter.
        cache: Parent folder of all stores; created if it is missing.
        positions: Number of temporal positions (T) of the features to read.
        count: Number of videos, in the order of the list of videos; None: all.
        progress: Called with (videos done, total videos) during the build.

    Raises:
        DataError: The data is invalid or has too few videos; every problem found is listed.
        UserError: There is not enough free space for the cache.
    """
    fingerprint = _fingerprint(folder, subset, positions, count)

    def write(target: Path) -> str:
        return _SplitWriter(folder, target, subset, positions=positions, count=count).write(progress)

    return cached_folder(cache, fingerprint, write, prefix=f"activitynet-{subset}-")


def open_video_split(path: Path) -> VideoSplit:
    """Map the split in folder ``path``, read-only; the time does not depend on the number of features.

    Raises:
        DataError: The folder contains no complete split.
    """
    try:
        meta = parse_json((path / "meta.json").read_bytes())
        if meta["format"] != STORE_FORMAT:
            raise ValueError(f"expected format {STORE_FORMAT}, got format {meta['format']}")
        features = _mapped(path / "features.npy", "float32")
        if list(features.shape) != meta["shape"]:
            raise ValueError(f"expected features of shape {meta['shape']}, got {features.shape}")
        return VideoSplit(
            videos=tuple(map(_video, meta["videos"])),
            features=features,
            classes=tuple(meta["classes"]),
            class_scores=_mapped(path / "class_scores.npy", "float64") if meta["classes"] else None,
            digest=str(meta["digest"]),
        )
    except Exception as error:  # numpy raises many types for a damaged header
        raise DataError(
            f"no usable split of ActivityNet: {error}",
            folder=path,
            fix="delete this folder; it will be built again",
        ) from error


def _mapped(file: Path, dtype: str) -> npt.NDArray[Any]:
    array: npt.NDArray[Any] = np.load(file, mmap_mode="r", allow_pickle=False)
    if array.dtype != dtype:
        raise ValueError(f"{file.name}: expected numbers of type {dtype}, got {array.dtype}")
    return array


def _fingerprint(folder: Path, subset: str, positions: int, count: int | None) -> str:
    """Hash of names, sizes and times of all files: equal means unchanged, without reading any of them."""
    features = feature_file(folder, "", positions).parent
    files = [folder / name for name in (ANNOTATIONS, VIDEOS, CLASS_SCORES)]
    stamps = [_stamp(file) for file in files]
    if features.is_dir():
        stamps += sorted(_stamp(entry) for entry in os.scandir(features))
    content = [STORE_FORMAT, str(folder.resolve()), subset, positions, count, stamps]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:32]


def _stamp(file: "Path | os.DirEntry[str]") -> tuple[str, int, int]:
    try:
        status = file.stat()
    except OSError:
        return file.name, -1, -1
    return file.name, status.st_size, status.st_mtime_ns


class _SplitWriter:
    """Writes the files of one split and hashes what it writes."""

    def __init__(self, folder: Path, target: Path, subset: str, *, positions: int, count: int | None) -> None:
        self._target = target
        self._videos = first_videos(read_videos(folder), subset, count, folder=folder)
        self._files = [feature_file(folder, video.name, positions) for video in self._videos]
        self._shape = (len(self._videos), positions, self._dims())
        self._scores = self._class_scores(folder / CLASS_SCORES) if subset == "validation" else None

    def write(self, progress: Progress | None) -> str:
        """Write all files and return the digest.

        Raises:
            DataError: Some features are invalid; every such file is listed.
            UserError: The disk has too little free space.
        """
        check_space(self._target, 4 * int(np.prod(self._shape)))
        meta: dict[str, Any] = {
            "format": STORE_FORMAT,
            "shape": self._shape,
            "videos": [_record(video) for video in self._videos],
            "classes": self._scores.classes if self._scores else (),
        }
        digest = hashlib.sha256(json.dumps(meta).encode())
        self._write_features(digest.update, progress)
        if self._scores is not None:
            digest.update(self._scores.scores.astype("<f8").tobytes())
            with (self._target / "class_scores.npy").open("wb") as stream:
                np.save(stream, self._scores.scores, allow_pickle=False)
                sync(stream)
        with (self._target / "meta.json").open("wb") as stream:
            stream.write(json.dumps({**meta, "digest": digest.hexdigest()}).encode())
            sync(stream)
        return digest.hexdigest()

    def _dims(self) -> int:
        missing = [Problem(str(file), "", "no such file") for file in self._files if not file.is_file()]
        if missing:
            raise DataError(f"features of {len(missing)} of {len(self._files)} videos are missing", missing)
        try:
            return header_dims(self._files[0])
        except (OSError, ValueError) as error:
            raise _unusable([Problem(str(self._files[0]), "", str(error))], self._files) from None

    def _class_scores(self, file: Path) -> ClassScores | None:
        if not file.is_file():
            return None
        labels = {label for video in self._videos for label in video.labels}
        return read_class_scores(file, [video.name for video in self._videos], labels)

    def _write_features(self, digest: Callable[[bytes], None], progress: Progress | None) -> None:
        """Read file by file, and write what is read where it will be mapped from: all have 1.6 GB."""
        videos, positions, dims = self._shape
        problems = []
        with (self._target / "features.npy").open("wb") as stream:
            header = {"descr": "<f4", "fortran_order": False, "shape": self._shape}
            np.lib.format.write_array_header_1_0(stream, header)
            for done, file in enumerate(self._files, start=1):
                try:
                    values = read_features(file, positions=positions, dims=dims).astype("<f4").tobytes()
                except (OSError, ValueError) as error:
                    problems.append(Problem(str(file), "", str(error)))
                    continue
                digest(values)
                stream.write(values)
                if progress is not None:
                    progress(done, videos)
            sync(stream)
        if problems:
            raise _unusable(problems, self._files)


def _unusable(problems: Sequence[Problem], files: Sequence[Path]) -> DataError:
    return DataError(f"features of {len(problems)} of {len(files)} videos are invalid", problems)


def _record(video: Video) -> list[Any]:
    """A video as ``_video`` takes it."""
    numbers = [video.duration_s, video.frames, video.feature_frames]
    return [video.name, video.subset, *numbers, video.segments_s.tolist(), video.labels]


def _video(record: Sequence[Any]) -> Video:
    name, subset, duration_s, frames, feature_frames, segments, labels = record
    segments_s = np.array(segments, dtype=np.float64).reshape(-1, 2)
    return Video(name, subset, duration_s, frames, feature_frames, segments_s, tuple(labels))
