"""Memory-mapped cache of one split of ActivityNet: features, class scores and annotations in one folder."""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from model.data.activitynet.annotations import ANNOTATIONS, VIDEOS, Video, read_list
from model.data.activitynet.class_scores import CLASS_SCORES, ClassScores, read_class_scores
from model.data.activitynet.features import (
    FeatureError,
    common_dims,
    feature_file,
    feature_folder,
    feature_problems,
    read_features,
    scan_features,
)
from model.data.activitynet.selection import Chosen, Selection, choose_listed, select_videos
from model.data.activitynet.split import VideoSplit
from model.data.stores.cache import cached_folder, check_space, fingerprint_of, sync, unusable
from model.documents import parse_json
from model.errors import DataError, Problem
from model.shell import shell_line

STORE_FORMAT = 1
"""Version of the store's files; digests and fingerprints include it, so a new version builds a new store."""

READER = 3
"""Version of the readers; fingerprints include it, so that data are checked again when the rules change."""

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class BuiltSplit:
    """A split in the cache."""

    path: Path
    """Folder for ``open_video_split``."""
    left_out: int
    """Number of videos that were left out because they have no feature file."""


def build_splits(
    folder: Path,
    counts: Mapping[str, int | None],
    cache: Path,
    *,
    positions: int,
    skip_missing: bool = False,
    progress: Progress | None = None,
) -> dict[str, BuiltSplit]:
    """Find the splits of a data folder in ``cache``, and build those that are missing.

    If two processes request the same split at once, one builds it and the other waits. If no file has
    changed in size or time, no features are read.

    Args:
        folder: Annotations, features and class scores in the published layout.
        counts: Subset (``training`` or ``validation``) -> number of videos, in the order of the list of
            videos; None: all. Class scores, if there are any, belong to the validation videos.
        cache: Parent folder of all stores; created if it is missing.
        positions: Number of temporal positions (T) of the features to read.
        skip_missing: Whether to leave out videos without a feature file.
        progress: Called with (what is read, videos done, total videos).

    Raises:
        DataError: The data is invalid or has too few videos; every problem of all subsets is listed.
        UserError: There is not enough free space for the cache.
    """
    if not folder.is_dir():
        raise DataError(
            f"expected a folder of data, found none: {folder}",
            fix=f"give the folder that contains {VIDEOS} and {ANNOTATIONS}",
        )
    builder = _Builder(folder, counts, positions=positions, skip_missing=skip_missing, progress=progress)
    return {subset: builder.split(subset, cache) for subset in counts}


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
        raise unusable("the cached split of ActivityNet", path, error) from error


def _mapped(file: Path, dtype: str) -> npt.NDArray[Any]:
    array: npt.NDArray[Any] = np.load(file, mmap_mode="r", allow_pickle=False)
    if array.dtype != dtype:
        raise ValueError(f"{file.name}: expected numbers of type {dtype}, got {array.dtype}")
    return array


def _files_of(folder: Path, positions: int) -> list[Path]:
    features = feature_folder(folder, positions)
    each = sorted(features.iterdir()) if features.is_dir() else []
    return [*(folder / name for name in (ANNOTATIONS, VIDEOS, CLASS_SCORES)), *each]


class _Builder:
    """Builds the splits of one data folder; a problem of one of them is reported with those of the others."""

    def __init__(
        self,
        folder: Path,
        counts: Mapping[str, int | None],
        *,
        positions: int,
        skip_missing: bool,
        progress: Progress | None,
    ) -> None:
        self._folder, self._counts = folder, counts
        self._positions, self._skip_missing = positions, skip_missing
        self._progress = progress

    def split(self, subset: str, cache: Path) -> BuiltSplit:
        """Return a split, and build it if it is missing."""
        chosen, count = self._listed[subset], self._counts[subset]
        count = len(chosen.used) if count is None else count  # a resumed study asks for its number of videos
        files = _files_of(self._folder, self._positions)
        settings = (STORE_FORMAT, READER, subset, self._positions, count, self._skip_missing)
        fingerprint = fingerprint_of(self._folder, files, *settings)
        path = cached_folder(
            cache, fingerprint, lambda target: self._write(subset, target), prefix=f"activitynet-{subset}-"
        )
        return BuiltSplit(path, chosen.left_out)

    @cached_property
    def _selection(self) -> Selection:
        return select_videos(
            self._folder, self._counts, positions=self._positions, skip_missing=self._skip_missing
        )

    @cached_property
    def _listed(self) -> dict[str, Chosen]:
        """Subset -> videos of the list; a split that lies in the cache needs no annotations."""
        listed, _ = read_list(self._folder)
        return choose_listed(
            self._folder,
            listed,
            self._counts,
            positions=self._positions,
            skip_missing=self._skip_missing,
        )

    @cached_property
    def _scores(self) -> ClassScores | None:
        """Class scores of the validation videos."""
        file = self._folder / CLASS_SCORES
        if not file.is_file():
            return None
        videos = self._selection.videos["validation"]
        labels = {label for video in videos for label in video.labels}
        return read_class_scores(file, [video.name for video in videos], labels)

    @cached_property
    def _files(self) -> dict[str, list[Path]]:
        """Subset -> feature files that exist, in the order of the videos."""
        return {
            subset: [feature_file(self._folder, row.name, self._positions) for row in chosen.present]
            for subset, chosen in self._selection.chosen.items()
        }

    @cached_property
    def _dims(self) -> int:
        return common_dims([file for files in self._files.values() for file in files])

    def _write(self, subset: str, target: Path) -> str:
        """Write the files of one split and return the digest.

        Raises:
            DataError: The data is invalid; every problem of all splits is listed.
            UserError: The disk has too little free space.
        """
        problems = [*self._selection.problems, *self._score_problems()]
        if problems:
            raise self._error(problems, self._faults(*self._files))
        writer = _SplitWriter(
            target,
            self._selection.videos[subset],
            (self._positions, self._dims),
            self._scores if subset == "validation" else None,
        )
        faults = writer.write_features(self._files[subset], self._reported(subset))
        if faults:
            others = (self._faults(other) for other in self._files if other != subset)
            raise self._error(
                [], {**faults, **{file: fault for found in others for file, fault in found.items()}}
            )
        return writer.finish()

    def _score_problems(self) -> list[Problem]:
        if "validation" not in self._counts:
            return []
        try:
            _ = self._scores
        except DataError as error:
            return list(error.problems) or [Problem(str(self._folder / CLASS_SCORES), "", error.message)]
        return []

    def _faults(self, *subsets: str) -> dict[Path, FeatureError]:
        """Read all features of ``subsets`` and return what is wrong with them."""
        found: dict[Path, FeatureError] = {}
        for subset in subsets:
            found |= scan_features(
                self._files[subset],
                positions=self._positions,
                dims=self._dims,
                progress=self._reported(subset),
            )
        return found

    def _reported(self, subset: str) -> Callable[[int, int], None]:
        def report(done: int, videos: int) -> None:
            if self._progress is not None:
                self._progress(f"reading {subset} videos", done, videos)

        return report

    def _error(self, problems: Sequence[Problem], faults: Mapping[Path, FeatureError]) -> DataError:
        total = sum(map(len, self._files.values()))
        found = [
            *problems,
            *feature_problems(faults, positions=self._positions, dims=self._dims, total=total),
        ]
        if len(found) == 1:
            return DataError("the data of ActivityNet cannot be used", found)
        command = shell_line("hpo", "data", "check", self._folder)
        lists_all = {"fix": f"correct the files; list all problems with: {command}"}
        return DataError(
            f"the data of ActivityNet cannot be used: {len(found)} problems",
            found,
            **(lists_all if len(found) > DataError.LISTED else {}),
        )


class _SplitWriter:
    """Writes the files of one split and hashes what it writes."""

    def __init__(
        self, target: Path, videos: Sequence[Video], size: tuple[int, int], scores: ClassScores | None
    ) -> None:
        self._target, self._scores = target, scores
        self._shape = (len(videos), *size)
        self._meta: dict[str, Any] = {
            "format": STORE_FORMAT,
            "shape": self._shape,
            "videos": [_record(video) for video in videos],
            "classes": scores.classes if scores else (),
        }
        self._digest = hashlib.sha256(json.dumps(self._meta).encode())

    def write_features(
        self, files: Sequence[Path], progress: Callable[[int, int], None]
    ) -> dict[Path, FeatureError]:
        """Copy file by file to where it will be mapped from; return what is wrong with the files."""
        check_space(self._target, 4 * int(np.prod(self._shape)))
        videos, positions, dims = self._shape
        faults = {}
        with (self._target / "features.npy").open("wb") as stream:
            header = {"descr": "<f4", "fortran_order": False, "shape": self._shape}
            np.lib.format.write_array_header_1_0(stream, header)
            for done, file in enumerate(files, start=1):
                try:
                    values = read_features(file, positions=positions, dims=dims).astype("<f4").tobytes()
                except FeatureError as fault:
                    faults[file] = fault
                    continue
                self._digest.update(values)
                stream.write(values)
                progress(done, videos)
            sync(stream)
        return faults

    def finish(self) -> str:
        """Write class scores and ``meta.json`` and return the digest."""
        if self._scores is not None:
            self._digest.update(self._scores.scores.astype("<f8").tobytes())
            with (self._target / "class_scores.npy").open("wb") as stream:
                np.save(stream, self._scores.scores, allow_pickle=False)
                sync(stream)
        digest = self._digest.hexdigest()
        with (self._target / "meta.json").open("wb") as stream:
            stream.write(json.dumps({**self._meta, "digest": digest}).encode())
            sync(stream)
        return digest


def _record(video: Video) -> list[Any]:
    """A video as ``_video`` takes it."""
    numbers = [video.duration_s, video.frames, video.feature_frames]
    return [video.name, video.subset, *numbers, video.segments_s.tolist(), video.labels]


def _video(record: Sequence[Any]) -> Video:
    name, subset, duration_s, frames, feature_frames, segments, labels = record
    segments_s = np.array(segments, dtype=np.float64).reshape(-1, 2)
    return Video(name, subset, duration_s, frames, feature_frames, segments_s, tuple(labels))
