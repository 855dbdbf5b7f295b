"""Build stores in one pass over the files, game by game; a store appears complete or not at all."""

import contextlib
import dataclasses
import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO

import numpy as np
import numpy.typing as npt

from model.data.cache import cached_folder, check_space, sync
from model.data.description import DatasetDescription, read_description
from model.data.distances import action_distances
from model.data.inspection import (
    FeatureFile,
    Game,
    feature_mismatches,
    inspect_game,
    non_finite_problem,
    row_blocks,
)
from model.data.soccernet import HALVES, features_file, games_of_split
from model.errors import DataError, Problem

STORE_FORMAT = 1
"""Version of the store's files; digests and fingerprints include it, so a new version builds a new store."""

Progress = Callable[[int, int], None]


def find_or_build(
    root: Path, *, features: str, split: str, cache: Path, progress: Progress | None = None
) -> Path:
    """Return the folder of the store of one split and build it if it is missing; see ``store.open_split``."""
    description = read_description(root)
    stem = description.feature_stem(features)
    names = games_of_split(root, description, split)
    fingerprint = _fingerprint(root, names, description, stem=stem, split=split)

    def write(folder: Path) -> str:
        games = _inspected(root, names, description, stem=stem)
        return _StoreWriter(folder, games, description, split=split).write(progress)

    return cached_folder(cache, fingerprint, write)


def _fingerprint(
    root: Path, games: Sequence[str], description: DatasetDescription, *, stem: str, split: str
) -> str:
    """Hash of names, sizes and times of all files: equal means unchanged, without reading any of them."""
    content = hashlib.sha256(
        json.dumps([STORE_FORMAT, dataclasses.asdict(description), stem, split]).encode()
    )
    for game in games:
        files = [features_file(root, game, half=half, stem=stem) for half in HALVES]
        for file in (*files, root / game / description.labels_file):
            try:
                status = file.stat()
                content.update(f"{game}\0{file.name}\0{status.st_size}\0{status.st_mtime_ns}\0".encode())
            except OSError:
                content.update(f"{game}\0{file.name}\0missing\0".encode())
    return content.hexdigest()[:32]


def _inspected(root: Path, names: Sequence[str], description: DatasetDescription, *, stem: str) -> list[Game]:
    games = [inspect_game(root, name, description, stem=stem) for name in names]
    problems = [problem for game in games for problem in game.problems]
    problems += feature_mismatches([half for game in games for half in game.halves])
    if problems:
        raise DataError(
            f"the data in {root} has {len(problems)} problems",
            problems,
            fix=f"correct the files; hpo data check {root} lists all problems",
        )
    return games


class _StoreWriter:
    """Appends half after half to the files of one store and hashes what it writes."""

    def __init__(
        self, folder: Path, games: Sequence[Game], description: DatasetDescription, *, split: str
    ) -> None:
        first = games[0].halves[0]
        self._folder = folder
        self._games = games
        self._classes = len(description.classes)
        self._frames = sum(half.frames for game in games for half in game.halves)
        self._shapes = {
            "features": (first.dims, np.dtype(first.dtype)),
            "past": (self._classes, np.dtype(np.int16)),
            "future": (self._classes, np.dtype(np.int16)),
        }
        self._meta = {
            "format": STORE_FORMAT,
            "name": description.name,
            "split": split,
            "classes": description.classes,
            "frame_rate": description.frame_rate.per_second,
        }
        self._digest = hashlib.sha256(json.dumps(self._meta).encode())
        self._halves: list[tuple[str, int, int, int]] = []
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
                for number, half in zip(HALVES, game.halves, strict=True):
                    self._append_half(streams, game, number, half)
                if progress is not None:
                    progress(done, len(self._games))
            for stream in streams.values():
                sync(stream)
        if self._problems:
            raise DataError("the features contain NaN or infinity", self._problems, fix="extract them again")
        self._finish()
        return self._digest.hexdigest()

    def _open(self, name: str) -> IO[bytes]:
        columns, dtype = self._shapes[name]
        stream = (self._folder / f"{name}.npy").open("wb")
        header = {"descr": dtype.str, "fortran_order": False, "shape": (self._frames, columns)}
        np.lib.format.write_array_header_1_0(stream, header)
        return stream

    def _append_half(self, streams: dict[str, IO[bytes]], game: Game, number: int, half: FeatureFile) -> None:
        actions = _distinct(game.actions[game.actions[:, 0] == number, 1:])
        past, future = action_distances(actions[:, :2], frames=half.frames, classes=self._classes)
        self._digest.update(f"{game.name}\0{number}\0{half.frames}\0{half.dims}\0{half.dtype}\0".encode())
        self._digest.update(actions.astype("<i8").tobytes())
        self._append_features(streams["features"], half)
        streams["past"].write(past.data)
        streams["future"].write(future.data)
        index = np.full((len(actions), 1), len(self._halves))
        self._actions.append(np.hstack([index, actions]))
        first_frame = sum(self._halves[-1][2:]) if self._halves else 0
        self._halves.append((game.name, number, first_frame, half.frames))

    def _append_features(self, stream: IO[bytes], half: FeatureFile) -> None:
        first_frame = 0
        for block in row_blocks(half):
            problem = non_finite_problem(half.path, block, first_frame)
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


def _distinct(actions: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Sort (frame, class, visible) rows and keep one of each frame and class: the visible one, if any."""
    frame, class_index, visible = actions.T
    ordered = actions[np.lexsort((-visible, class_index, frame))]
    is_new = np.ones(len(ordered), dtype=bool)
    is_new[1:] = (ordered[1:, :2] != ordered[:-1, :2]).any(axis=1)
    return ordered[is_new]
