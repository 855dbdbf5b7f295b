"""Check a data folder of ActivityNet before training starts."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from model.data.activitynet.annotations import (
    ANNOTATIONS,
    SUBSETS,
    VIDEOS,
    annotated,
    past_end_s,
    read_entries,
    read_list,
)
from model.data.activitynet.class_scores import CLASS_SCORES, read_class_scores
from model.data.activitynet.features import (
    DIMS_STEP,
    FOLDER,
    common_dims,
    feature_file,
    feature_folder,
    feature_problems,
    odd_dims,
    positions_found,
    scan_features,
)
from model.data.activitynet.selection import choose_listed, missing_features
from model.data.layout.description import DESCRIPTION_FILE
from model.errors import ConfigError, DataError, Problem

USED = ("training", "validation")
"""Subsets whose features a study reads."""

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoReport:
    """Content of a data folder of ActivityNet and all problems found in it."""

    problems: tuple[Problem, ...]
    videos: dict[str, int]
    """Subset -> number of listed videos."""
    activities: dict[str, int]
    """Subset -> number of valid activities."""
    classes: int
    """Number of classes of all activities."""
    features: dict[str, dict[str, int]]
    """Folder of features -> subset -> number of listed videos with a feature file."""
    dims: dict[str, int]
    """Folder of features -> length of a feature vector."""
    past_end: int
    """Number of activities that end shortly after their video and are cut there."""
    unlisted: int
    """Number of entries of the annotations that the list of videos does not contain."""
    scores: bool
    """Whether there are class scores."""


def is_activitynet(folder: Path) -> bool:
    """Return whether ``folder`` looks like a data folder of ActivityNet."""
    if not folder.is_dir() or (folder / DESCRIPTION_FILE).exists():
        return False
    return any((folder / name).exists() for name in (ANNOTATIONS, VIDEOS)) or bool(positions_found(folder))


def check_videos(
    folder: Path, *, features: str | None = None, progress: Progress | None = None
) -> VideoReport:
    """Read a complete data folder and report every problem, not only the first.

    Args:
        folder: The data folder.
        features: Name of the folder of features to check, such as ``csv_mean_100``; None: all.
        progress: Called with (what is read, videos done, total videos).

    Raises:
        ConfigError: ``features`` is no name of a folder of features.
    """
    check = _Check(folder, progress)
    for positions in _positions(folder, features):
        check.add_features(positions)
    return check.report()


def _positions(folder: Path, features: str | None) -> list[int]:
    if features is None:
        return positions_found(folder)
    number = features.removeprefix(FOLDER)
    if number == features or not number.isdecimal() or not int(number):
        found = ", ".join(f"{FOLDER}{positions}" for positions in positions_found(folder)) or "none"
        raise ConfigError(
            f"expected --features {FOLDER}T such as {FOLDER}100, got {features!r:.40}", found=found
        )
    return [int(number)]


class _Check:
    """Counts and problems of the files looked at so far."""

    def __init__(self, folder: Path, progress: Progress | None) -> None:
        self._folder, self._progress = folder, progress
        self._listed, problems = read_list(folder)
        entries, faults = read_entries(folder)
        self._problems = [*problems, *faults]
        self._videos, wrong = annotated(self._listed, entries, folder) if entries is not None else ([], [])
        self._problems += wrong
        self._unlisted = len({*(entries or {})} - {row.name for row in self._listed}) if self._listed else 0
        self._features: dict[str, dict[str, int]] = {}
        self._dims: dict[str, int] = {}
        if not problems:
            self._check_subsets()
        self._scores = self._check_scores()

    def _check_subsets(self) -> None:
        subsets = {row.subset for row in self._listed}
        for subset in USED:
            if subset not in subsets:
                found = ", ".join(sorted(subsets)) or "no videos at all"
                message = f"expected videos of the subset {subset!r}, found {found}"
                self._problems.append(Problem(str(self._folder / VIDEOS), "", message))

    def _check_scores(self) -> bool:
        file = self._folder / CLASS_SCORES
        if not file.is_file():
            return False
        videos = [video for video in self._videos if video.subset == "validation"]
        labels = {label for video in videos for label in video.labels}
        try:
            read_class_scores(file, [video.name for video in videos], labels)
        except DataError as error:
            self._problems += error.problems or [Problem(str(file), "", error.message)]
        return True

    def add_features(self, positions: int) -> None:
        """Look at all feature files of the listed videos for so many positions."""
        counts = dict.fromkeys(USED)
        chosen = choose_listed(self._folder, self._listed, counts, positions=positions, skip_missing=False)
        if self._listed:
            self._problems += missing_features(self._folder, chosen, positions)
        files = [
            feature_file(self._folder, row.name, positions)
            for each in chosen.values()
            for row in each.present
        ]
        name, dims = f"{FOLDER}{positions}", common_dims(files)
        faults = scan_features(files, positions=positions, dims=dims, progress=self._reported(name))
        self._problems += feature_problems(faults, positions=positions, dims=dims, total=len(files))
        self._features[name] = {subset: len(each.present) for subset, each in chosen.items()}
        if dims:
            self._dims[name] = dims
        numbered = sum(fault.numbers_lines for fault in faults.values())
        if dims % DIMS_STEP and 2 * numbered < len(files):  # else the width is one with line numbers
            self._problems.append(Problem(str(feature_folder(self._folder, positions)), "", odd_dims(dims)))

    def _reported(self, name: str) -> Callable[[int, int], None]:
        def report(done: int, files: int) -> None:
            if self._progress is not None:
                self._progress(f"checking {name}", done, files)

        return report

    def report(self) -> VideoReport:
        """Return what was found."""
        if not self._features:
            message = f"expected a folder {FOLDER}100 with one file VIDEO.csv per video, found none"
            self._problems.append(Problem(str(self._folder), "", message))
        past_end = [np.count_nonzero(past_end_s(video)) for video in self._videos]
        return VideoReport(
            problems=tuple(self._problems),
            videos=self._per_subset(self._listed, lambda row: 1),
            activities=self._per_subset(self._videos, lambda video: len(video.segments_s)),
            classes=len({label for video in self._videos for label in video.labels}),
            features=self._features,
            dims=self._dims,
            past_end=int(sum(past_end)),
            unlisted=self._unlisted,
            scores=self._scores,
        )

    def _per_subset(self, items: "list[Any]", count: Callable[[Any], int]) -> dict[str, int]:
        return {subset: sum(count(item) for item in items if item.subset == subset) for subset in SUBSETS}
