"""Open data sets at a URI: download the files that a split needs, then read them as a local folder."""

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from model.data.checks.survey import labels_notice
from model.data.layout.description import (
    BUILTIN_NAMES,
    DESCRIPTION_FILE,
    LABELS,
    DatasetDescription,
    builtin_description,
    read_description,
)
from model.data.layout.game_files import HALVES, feature_name, features_file
from model.data.layout.split_lists import first_games, games_of_split
from model.data.stores.building import open_split
from model.data.stores.copying import FolderCopy
from model.data.stores.store import Store
from model.errors import DataError
from model.timeline import MOST_PARTS

Progress = Callable[[int, int], None]

_FIRST_PARTS = 9
"""Parts that are asked for in every game; more are only in games that have all of these."""


def open_remote_split(
    uri: str,
    *,
    features: str,
    split: str,
    cache: Path,
    labels: str | None = None,
    count: int | None = None,
    fetching: Progress | None = None,
    reading: Progress | None = None,
) -> Store:
    """Open one split of the data set at ``uri``: download missing files and build its store.

    Args:
        uri: A folder in SoccerNet's layout, as fsspec understands it, such as ``s3://bucket/games``.
        features: As for ``open_split``; files of other features are not downloaded.
        split: ``train``, ``valid`` or ``test``; games of other splits are not downloaded.
        cache: Parent folder of all stores and of the local copies.
        labels: As for ``open_split``.
        count: As for ``open_split``; other games are not downloaded.
        fetching: Called with (files done, total files).
        reading: Called with (games done, total games).

    Raises:
        UserError: The URI cannot be read, or the data there is invalid.
    """
    copy = FolderCopy(uri, cache)
    with copy.locked():
        description = _describe(copy, labels)
        copy.fetch([description.list_of(split)])
        games = first_games(games_of_split(copy.folder, description, split), split, count)
        stem = description.feature_stem(features)
        copy.fetch(_files_of(games, description, stem), fetching)
        copy.fetch(_more_parts(copy.folder, games, description, stem), fetching)
        store = open_split(
            copy.folder,
            features=features,
            split=split,
            cache=cache,
            labels=description.labels_version,
            count=count,
            progress=reading,
        )
    return replace(store, notices=(*labels_notice(description), *store.notices))


def remote_description(uri: str, cache: Path, labels: str | None = None) -> DatasetDescription:
    """Read the description of the data set at ``uri``.

    Raises:
        UserError: The URI cannot be read, or contains no known data set.
    """
    copy = FolderCopy(uri, cache)
    with copy.locked():
        return _describe(copy, labels)


def _describe(copy: FolderCopy, labels: str | None) -> DatasetDescription:
    """Download the files that identify the data set: its description, or labels of its first game."""
    if copy.fetch([DESCRIPTION_FILE]):
        return read_description(copy.folder, labels)
    found = [version for version in LABELS if _has_labels(copy, builtin_description(LABELS[version]))]
    if not found:
        raise DataError(
            f"no data set at {copy.uri}",
            expected=f"{DESCRIPTION_FILE}, or train.txt and a game with SoccerNet labels",
            fix="give the folder that contains <league>/<season>/<game>",
        )
    # The first game decides, not the files of the copy: those depend on what was asked for before.
    description = read_description(copy.folder, labels or found[0])
    return description if labels else replace(description, unused_labels=next(iter(found[1:]), None))


def _has_labels(copy: FolderCopy, description: DatasetDescription) -> bool:
    copy.fetch([description.list_of("train")])
    with contextlib.suppress(DataError):  # no such list
        first = games_of_split(copy.folder, description, "train")[0]
        return copy.fetch([f"{first}/{description.labels_file}"]) == 1
    return False


def _files_of(games: Sequence[str], description: DatasetDescription, stem: str) -> list[str]:
    # Games of SoccerNet have two halves; of other data, files of more parts are asked for and may be absent.
    parts = HALVES if description.name in BUILTIN_NAMES else range(1, 1 + (description.parts or _FIRST_PARTS))
    names = [*(feature_name(part, stem) for part in parts), description.labels_file]
    return [f"{game}/{name}" for game in games for name in names]


def _more_parts(root: Path, games: Sequence[str], description: DatasetDescription, stem: str) -> list[str]:
    """Return the files of further parts of games that have the last of the first ones."""
    if description.parts is not None:
        return []
    long = [game for game in games if features_file(root, game, half=_FIRST_PARTS, stem=stem).is_file()]
    further = range(_FIRST_PARTS + 1, MOST_PARTS + 1)
    return [f"{game}/{feature_name(part, stem)}" for game in long for part in further]
