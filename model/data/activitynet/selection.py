"""The videos of a data folder that a study uses: which are listed, annotated and have features."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from model.data.activitynet.annotations import (
    ANNOTATIONS,
    VIDEOS,
    ListedVideo,
    Video,
    annotated,
    no_activities,
    no_videos,
    read_entries,
    read_list,
)
from model.data.activitynet.features import (
    FOLDER,
    feature_folder,
    files_in,
    positions_found,
    positions_setting,
)
from model.data.activitynet.texts import shortened
from model.errors import Problem

SKIP = "--skip-missing (skip_missing = true under [data] of the study file)"
"""Setting that leaves out videos without features."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """Listed videos of one subset."""

    used: tuple[ListedVideo, ...]
    """Videos to use, in the order of the list."""
    missing: tuple[ListedVideo, ...]
    """Videos in ``used`` without a feature file."""
    with_features: int
    """Number of videos with a feature file, used or not."""
    left_out: int
    """Number of videos that were left out because they have no feature file."""

    @property
    def present(self) -> tuple[ListedVideo, ...]:
        """Videos in ``used`` with a feature file."""
        missing = {row.name for row in self.missing}
        return tuple(row for row in self.used if row.name not in missing)


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """The videos to use and all problems with them, except those inside feature files."""

    videos: dict[str, tuple[Video, ...]]
    """Subset -> annotated videos."""
    chosen: dict[str, Chosen]
    """Subset -> listed videos."""
    problems: tuple[Problem, ...]


def choose_listed(
    folder: Path,
    listed: Sequence[ListedVideo],
    counts: Mapping[str, int | None],
    *,
    positions: int,
    skip_missing: bool,
) -> dict[str, Chosen]:
    """Choose the videos of each subset of ``counts``: so many, from the first one on.

    Args:
        folder: The data folder.
        listed: All videos of the list.
        counts: Subset -> number of videos; None: all.
        positions: Number of temporal positions (T) of the features.
        skip_missing: Whether to leave out videos without a feature file.
    """
    files = files_in(feature_folder(folder, positions))
    found = {}
    for subset, count in counts.items():
        rows = [row for row in listed if row.subset == subset]
        there = [row for row in rows if f"{row.name}.csv" in files]
        used = (there if skip_missing else rows)[:count]
        found[subset] = Chosen(
            used=tuple(used),
            missing=tuple(row for row in used if f"{row.name}.csv" not in files),
            with_features=len(there),
            left_out=_left_out(rows, there, used) if skip_missing else 0,
        )
    return found


def _left_out(rows: Sequence[ListedVideo], there: Sequence[ListedVideo], used: Sequence[ListedVideo]) -> int:
    """Count the videos that were passed over: all that are missing, or those before the last one used."""
    if len(used) == len(there):
        return len(rows) - len(there)
    if not used:
        return 0
    return sum(row.line < used[-1].line for row in rows) + 1 - len(used)


def select_videos(
    folder: Path, counts: Mapping[str, int | None], *, positions: int, skip_missing: bool
) -> Selection:
    """Choose the videos of each subset as ``choose_listed`` and read their annotations."""
    listed, list_problems = read_list(folder)
    chosen = choose_listed(folder, listed, counts, positions=positions, skip_missing=skip_missing)
    problems = [*list_problems, *missing_features(folder, chosen, positions)]
    entries, faults = read_entries(folder)
    problems += faults
    used = [row for of_subset in chosen.values() for row in of_subset.used]
    found, wrong = annotated(used, entries, folder) if entries is not None else ([], [])
    problems += wrong
    videos = {subset: tuple(video for video in found if video.subset == subset) for subset in counts}
    # A list or annotations with faults may well be the reason why something is missing.
    if not (list_problems or faults or wrong):
        subsets = [row.subset for row in listed]
        for subset, count in counts.items():
            problems += _too_few(folder, subset, subsets, chosen[subset], videos[subset], count)
    return Selection(videos=videos, chosen=chosen, problems=tuple(problems))


def _too_few(
    folder: Path,
    subset: str,
    subsets: Sequence[str],
    chosen: Chosen,
    found: Sequence[Video],
    count: int | None,
) -> list[Problem]:
    if subset not in subsets:
        return [Problem(str(folder / VIDEOS), "", no_videos(subset, subsets))]
    if count is not None and not 0 < count <= len(chosen.used):
        there = f"found {len(chosen.used) or subsets.count(subset)}"
        if chosen.left_out:
            there += f" with features ({chosen.left_out} without were left out)"
        return [
            Problem(str(folder / VIDEOS), "", f"expected {count} videos of the subset {subset!r}, {there}")
        ]
    if found and not any(len(video.segments_s) for video in found):
        return [Problem(str(folder / ANNOTATIONS), "", no_activities(subset, len(found)))]
    return []


def missing_features(folder: Path, chosen: Mapping[str, Chosen], positions: int) -> list[Problem]:
    """Return the problem of all missing feature files, with the ways out of it."""
    place = feature_folder(folder, positions)
    if not place.is_dir():
        message = f"no such folder of features of {positions} positions; {_other_folder(folder)}"
        return [Problem(str(place), "", message)]
    if not any(each.missing or each.left_out for each in chosen.values()):
        return []
    # A study needs videos of each subset: one without any file is not mended by leaving videos out.
    empty = [name for name, each in chosen.items() if (each.used or each.left_out) and not each.with_features]
    problems = [_no_file_fits(folder, place, empty)] if empty else []
    parts = [
        f"{len(each.missing):,} of {len(each.used):,} {subset} videos"
        f" ({shortened([row.name for row in each.missing])})"
        for subset, each in chosen.items()
        if each.missing and subset not in empty
    ]
    fix = f"download the files, leave these videos out with {SKIP}, or remove their lines from {VIDEOS}"
    if parts:
        problems.append(Problem(str(place), "", f"no feature file for {' and '.join(parts)}; {fix}"))
    return problems


def _no_file_fits(folder: Path, place: Path, subsets: Sequence[str]) -> Problem:
    found = sorted(files_in(place))
    parts = [f"none of the {' and '.join(subsets)} videos of {VIDEOS} has a feature file VIDEO.csv"]
    if found:
        parts.append(f"the folder has {len(found):,} .csv files ({shortened(found)})")
        parts.append("add the files of these videos, or rename files that have other names")
    elif (place / place.name).is_dir():
        parts.append(f"the files are in another folder {place.name} inside this one: move them up")
    else:
        parts.append("the folder has no .csv files: add those of these videos")
    if any(feature_folder(folder, positions) != place for positions in positions_found(folder)):
        parts.append(_other_folder(folder, place.name))
    return Problem(str(place), "", "; ".join(parts))


def _other_folder(folder: Path, but: str = "") -> str:
    found = [positions for positions in positions_found(folder) if f"{FOLDER}{positions}" != but]
    if not found:
        return f"expected {FOLDER}T with one file VIDEO.csv per video, T lines each"
    there = f"there {'is' if len(found) == 1 else 'are'} " + ", ".join(f"{FOLDER}{each}" for each in found)
    return f"{there}: {positions_setting(found[-1])}, or rescale the features"
