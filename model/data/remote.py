"""Open data sets at a URI: download the files that a split needs, then read them as a local folder."""

import contextlib
from collections.abc import Callable, Sequence
from pathlib import Path

from model.data.copying import FolderCopy
from model.data.description import (
    BUILTIN_NAMES,
    DESCRIPTION_FILE,
    DatasetDescription,
    builtin_description,
    read_description,
)
from model.data.soccernet import HALVES, games_of_split
from model.data.store import Store, open_split
from model.errors import DataError

Progress = Callable[[int, int], None]


def open_remote_split(
    uri: str,
    *,
    features: str,
    split: str,
    cache: Path,
    fetching: Progress | None = None,
    reading: Progress | None = None,
) -> Store:
    """Open one split of the data set at ``uri``: download missing files and build its store.

    Args:
        uri: A folder in SoccerNet's layout, as fsspec understands it, such as ``s3://bucket/games``.
        features: As for ``open_split``; files of other features are not downloaded.
        split: ``train``, ``valid`` or ``test``; games of other splits are not downloaded.
        cache: Parent folder of all stores and of the local copies.
        fetching: Called with (files done, total files).
        reading: Called with (games done, total games).

    Raises:
        UserError: The URI cannot be read, or the data there is invalid.
    """
    copy = FolderCopy(uri, cache)
    with copy.locked():
        description = _describe(copy)
        copy.fetch([_list_of(description, split)])
        games = games_of_split(copy.folder, description, split)
        copy.fetch(_files_of(games, description, description.feature_stem(features)), fetching)
        return open_split(copy.folder, features=features, split=split, cache=cache, progress=reading)


def remote_description(uri: str, cache: Path) -> DatasetDescription:
    """Read the description of the data set at ``uri``.

    Raises:
        UserError: The URI cannot be read, or contains no known data set.
    """
    copy = FolderCopy(uri, cache)
    with copy.locked():
        return _describe(copy)


def _describe(copy: FolderCopy) -> DatasetDescription:
    """Download the files that identify the data set: its description, or labels of its first game."""
    if not copy.fetch([DESCRIPTION_FILE]):
        known = map(builtin_description, BUILTIN_NAMES)
        if not any(_has_labels(copy, description) for description in known):
            raise DataError(
                f"no data set at {copy.uri}",
                expected=f"{DESCRIPTION_FILE}, or train.txt and a game with SoccerNet labels",
                fix="give the folder that contains <league>/<season>/<game>",
            )
    return read_description(copy.folder)


def _has_labels(copy: FolderCopy, description: DatasetDescription) -> bool:
    copy.fetch([_list_of(description, "train")])
    with contextlib.suppress(DataError):  # no such list
        first = games_of_split(copy.folder, description, "train")[0]
        return copy.fetch([f"{first}/{description.labels_file}"]) == 1
    return False


def _list_of(description: DatasetDescription, split: str) -> str:
    return description.splits.get(split, f"{split}.txt")


def _files_of(games: Sequence[str], description: DatasetDescription, stem: str) -> list[str]:
    names = [*(f"{half}_{stem}.npy" for half in HALVES), description.labels_file]
    return [f"{game}/{name}" for game in games for name in names]
