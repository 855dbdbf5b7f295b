"""Opening of the store of a split, which is built first if need be: in one pass, complete or not at all."""

import contextlib
import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import IO

import numpy as np
import numpy.typing as npt

from model.data.checks.inspection import Game, inspect_game
from model.data.checks.survey import Survey, labels_notice
from model.data.layout.description import DatasetDescription, read_description
from model.data.layout.feature_file import (
    FeatureFile,
    common_dtype,
    non_finite_problem,
    row_blocks,
    unusable_values,
)
from model.data.layout.game_files import feature_parts, features_file
from model.data.layout.split_lists import first_games, games_of_split
from model.data.stores.cache import cached_folder, check_space, fingerprint_of, sync
from model.data.stores.distances import action_distances
from model.data.stores.store import STORE_FORMAT, Store, open_store
from model.documents import parse_json
from model.errors import DataError, Problem
from model.files import write_whole
from model.shell import shell_line
from model.wording import counted

Progress = Callable[[int, int], None]


def open_split(
    root: Path,
    *,
    features: str,
    split: str,
    cache: Path,
    labels: str | None = None,
    count: int | None = None,
    progress: Progress | None = None,
) -> Store:
    """Open the store of one split and build it if it is not in the cache yet.

    If two processes request the same split at once, one builds the store and the other waits. Building
    reads one game at a time; opening an existing store reads no data.

    Args:
        root: The data folder.
        features: Name of the features: an alias of the description, or the stem of the files.
        split: ``train``, ``valid`` or ``test``.
        cache: Parent folder of all stores; created if it is missing.
        labels: Version of SoccerNet's labels, ``v1`` or ``v2``. None: what the folder says.
        count: Number of games to use from the start of the split; no other game needs to exist. None: all.
        progress: Called with (games done, total games) during the build.

    Raises:
        DataError: The data is invalid; every problem found is listed.
        UserError: There is not enough free space for the cache.
    """
    description = read_description(root, labels)
    stem = description.feature_stem(features)
    names = first_games(games_of_split(root, description, split), split, count)
    files = [file for name in names for file in _files_of(root, name, description, stem)]
    fingerprint = fingerprint_of(root, files, STORE_FORMAT, asdict(description), names, stem, split)
    notices_file = cache / "notices" / f"{fingerprint}.json"

    def write(folder: Path) -> str:
        survey = Survey(root, description, stem)
        for name in names:
            survey.add(split, inspect_game(root, name, description, stem=stem))
        digest = _StoreWriter(folder, survey, split=split).write(progress)
        notices_file.parent.mkdir(exist_ok=True)
        write_whole(notices_file, json.dumps(survey.findings().told).encode())
        return digest

    path = cached_folder(cache, fingerprint, write)
    found = parse_json(notices_file.read_bytes()) if notices_file.is_file() else []
    return replace(open_store(path), notices=(*labels_notice(description, root), *found))


def _files_of(root: Path, game: str, description: DatasetDescription, stem: str) -> list[Path]:
    parts = feature_parts(root / game, stem)
    features = [features_file(root, game, half=half, stem=stem) for half in parts]
    return [*features, root / game / description.labels_file]


class _StoreWriter:
    """Appends half after half to the files of one store and hashes what it writes."""

    def __init__(self, folder: Path, survey: Survey, *, split: str) -> None:
        """Prepare to write the games of ``split``.

        Raises:
            DataError: The games have problems; all are listed.
        """
        findings, description = survey.findings(), survey.description
        if findings.problems:
            raise DataError(
                f"the data in {survey.root} has {counted(len(findings.problems), 'problem')}",
                findings.problems,
                fix=f"correct the files; {_listing(survey.root)}",
            )
        self._folder, self._root = folder, survey.root
        self._games = survey.games[split]
        self._classes = len(description.classes)
        halves = [half for game in self._games for half in game.halves.values()]
        self._frames = sum(half.frames for half in halves)
        self._dtype = common_dtype(halves)
        self._shapes = {
            "features": (halves[0].dims, np.dtype(self._dtype)),
            "past": (self._classes, np.dtype(np.int16)),
            "future": (self._classes, np.dtype(np.int16)),
        }
        self._meta = {
            "format": STORE_FORMAT,
            "name": description.name,
            "split": split,
            "classes": description.classes,
            "frame_rate": description.rate_of(survey.stem).per_second,
            "stem": survey.stem,
            "labels": description.labels_version,
            "label_texts": description.label_texts,
        }
        # Only features of videos have one; the digest of other data stays as it was.
        if recipe := description.recipes.get(survey.stem):
            self._meta["recipe"] = recipe.table()
        self._digest = hashlib.sha256(json.dumps(self._meta).encode())
        self._halves: list[tuple[str, int, int, int]] = []
        self._next_frame = 0
        self._actions: list[npt.NDArray[np.int64]] = []
        self._problems: list[Problem] = []

    def write(self, progress: Progress | None) -> str:
        """Write all files and return the digest.

        Raises:
            DataError: Some features are NaN or infinite; every such file is listed.
            UserError: The disk has too little free space.
        """
        row = sum(columns * dtype.itemsize for columns, dtype in self._shapes.values())
        check_space(self._folder, self._frames * row)
        with contextlib.ExitStack() as stack:
            streams = {name: stack.enter_context(self._open(name)) for name in self._shapes}
            for done, game in enumerate(self._games, start=1):
                for number, half in game.halves.items():
                    self._append_half(streams, game, number, half)
                if progress is not None:
                    progress(done, len(self._games))
            for stream in streams.values():
                sync(stream)
        if self._problems:
            raise DataError(
                "some features cannot be used",
                self._problems,
                fix=f"extract them again; {_listing(self._root)}",
            )
        self._finish()
        return self._digest.hexdigest()

    def _open(self, name: str) -> IO[bytes]:
        columns, dtype = self._shapes[name]
        stream = (self._folder / f"{name}.npy").open("wb")
        header = {"descr": dtype.str, "fortran_order": False, "shape": (self._frames, columns)}
        np.lib.format.write_array_header_1_0(stream, header)
        return stream

    def _append_half(self, streams: dict[str, IO[bytes]], game: Game, number: int, half: FeatureFile) -> None:
        actions = game.actions[game.actions[:, 0] == number, 1:]
        past, future = action_distances(actions[:, :2], frames=half.frames, classes=self._classes)
        self._digest.update(f"{game.name}\0{number}\0{half.frames}\0{half.dims}\0{self._dtype}\0".encode())
        self._digest.update(actions.astype("<i8").tobytes())
        self._append_features(streams["features"], half)
        streams["past"].write(past.data)
        streams["future"].write(future.data)
        index = np.full((len(actions), 1), len(self._halves))
        self._actions.append(np.hstack([index, actions]))
        self._halves.append((game.name, number, self._next_frame, half.frames))
        self._next_frame += half.frames

    def _append_features(self, stream: IO[bytes], half: FeatureFile) -> None:
        problem = unusable_values(half) if half.converted else None
        first_frame = 0
        for block in row_blocks(half, self._dtype):
            problem = problem or non_finite_problem(half.path, block, first_frame)
            if problem is not None:
                self._problems.append(problem)
                return
            self._digest.update(block.data)
            stream.write(block.data)
            first_frame += len(block)

    def _finish(self) -> None:
        with (self._folder / "actions.npy").open("wb") as stream:
            np.save(stream, np.concatenate(self._actions), allow_pickle=False)
            sync(stream)
        with (self._folder / "meta.json").open("wb") as stream:
            meta = {**self._meta, "digest": self._digest.hexdigest(), "halves": self._halves}
            stream.write(json.dumps(meta).encode())
            sync(stream)


def _listing(root: Path) -> str:
    """Return the advice how to see the problems of all splits."""
    return f"list all problems with: {shell_line('hpo', 'data', 'check', root)}"
