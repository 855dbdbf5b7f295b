"""Builds stores: one pass over the files, game by game, published whole or not at all."""

import contextlib
import dataclasses
import errno
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO

import filelock
import numpy as np
import numpy.typing as npt

from model.data.description import DatasetDescription, read_description
from model.data.distances import action_distances
from model.data.inspection import FeatureFile, Game, bad_values, differing, inspect_game, row_blocks
from model.data.soccernet import HALVES, features_file, games_of_split
from model.documents import parse_json
from model.errors import DataError, Problem, UserError

STORE_FORMAT = 1
"""Version of the files; it is part of digests and fingerprints, so that another version is another store."""
_NAME_LENGTH = 16
_OUT_OF_SPACE = (errno.ENOSPC, errno.EDQUOT)

Progress = Callable[[int, int], None]


def find_or_build(
    root: Path, *, features: str, split: str, cache: Path, progress: Progress | None = None
) -> Path:
    """Folder of the store of one split, built first where it is missing; see ``store.open_split``."""
    description = read_description(root)
    stem = description.feature_stem(features)
    names = games_of_split(root, description, split)
    fingerprint = _fingerprint(root, names, description, stem=stem, split=split)
    found = _indexed(cache, fingerprint)
    if found is not None:
        return found
    building = cache / "building"
    _make_folders(building, cache / "index")
    with filelock.FileLock(building / f"{fingerprint}.lock"):
        found = _indexed(cache, fingerprint)  # another process may have built it while this one waited
        if found is not None:
            return found
        _remove_abandoned(building, but=fingerprint)
        games = _inspected(root, names, description, stem=stem)
        with _working_folder(building / fingerprint) as folder:
            digest = _StoreWriter(folder, games, description, split=split).write(progress)
            target = cache / digest[:_NAME_LENGTH]
            _publish(folder, target)
        _write_index(cache, fingerprint, digest)
    return target


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


def _indexed(cache: Path, fingerprint: str) -> Path | None:
    try:
        entry = parse_json((cache / "index" / f"{fingerprint}.json").read_bytes())
        folder = cache / entry["digest"][:_NAME_LENGTH]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return folder if (folder / "meta.json").is_file() else None


def _write_index(cache: Path, fingerprint: str, digest: str) -> None:
    entry = cache / "index" / f"{fingerprint}.json"
    temporary = entry.with_suffix(".tmp")  # only the holder of the fingerprint's lock writes here
    temporary.write_text(json.dumps({"digest": digest}), encoding="utf-8")
    temporary.replace(entry)


def _make_folders(*folders: Path) -> None:
    try:
        for folder in folders:
            folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(
            f"cannot make the cache folder: {error}", fix="choose another cache folder"
        ) from error


def _remove_abandoned(building: Path, *, but: str) -> None:
    """Remove what killed processes left; folders whose lock is held are still being written."""
    for folder in building.iterdir():
        if not folder.is_dir() or folder.name == but:
            continue
        with contextlib.suppress(filelock.Timeout), filelock.FileLock(f"{folder}.lock", timeout=0):
            shutil.rmtree(folder, ignore_errors=True)


def _inspected(root: Path, names: Sequence[str], description: DatasetDescription, *, stem: str) -> list[Game]:
    games = [inspect_game(root, name, description, stem=stem) for name in names]
    problems = [problem for game in games for problem in game.problems]
    problems += differing([half for game in games for half in game.halves])
    if problems:
        raise DataError(f"the data in {root} cannot be used", problems, see=f"hpo data check {root}")
    return games


@contextlib.contextmanager
def _working_folder(folder: Path) -> Iterator[Path]:
    shutil.rmtree(folder, ignore_errors=True)  # left by a process that was killed
    folder.mkdir()
    try:
        yield folder
    except OSError as error:
        if error.errno in _OUT_OF_SPACE:
            raise UserError("the disk filled up while the cache was built", folder=folder.parent) from error
        raise
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _publish(folder: Path, target: Path) -> None:
    """Move a finished store to its place, unless the same content is there already."""
    if not (target / "meta.json").is_file():
        shutil.rmtree(target, ignore_errors=True)  # somebody removed a part of it
    try:
        folder.rename(target)
    except OSError:
        if not (target / "meta.json").is_file():
            raise


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
            DataError: Features with NaN or infinity, all files of them listed.
            UserError: Not enough free space.
        """
        self._check_space()
        with contextlib.ExitStack() as stack:
            streams = {name: stack.enter_context(self._open(name)) for name in self._shapes}
            for done, game in enumerate(self._games, start=1):
                for number, half in zip(HALVES, game.halves, strict=True):
                    self._append_half(streams, game, number, half)
                if progress is not None:
                    progress(done, len(self._games))
            for stream in streams.values():
                _sync(stream)
        if self._problems:
            raise DataError("these features cannot be used", self._problems)
        self._finish()
        return self._digest.hexdigest()

    def _check_space(self) -> None:
        row = sum(columns * dtype.itemsize for columns, dtype in self._shapes.values())
        needed, free = self._frames * row, shutil.disk_usage(self._folder).free
        if needed > free:
            raise UserError(
                f"the cache needs {needed / 1e9:.1f} GB, only {free / 1e9:.1f} GB are free",
                folder=self._folder.parent.parent,
                fix="free some space, or choose another cache folder",
            )

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
            problem = bad_values(half.path, block, first_frame)
            if problem is not None:
                self._problems.append(problem)
                return
            self._digest.update(block.data)
            stream.write(block.data)
            first_frame += len(block)

    def _finish(self) -> None:
        with (self._folder / "actions.npy").open("wb") as stream:
            np.save(stream, np.concatenate(self._actions), allow_pickle=False)
            _sync(stream)
        with (self._folder / "meta.json").open("wb") as stream:
            meta = {**self._meta, "digest": self._digest.hexdigest(), "halves": self._halves}
            stream.write(json.dumps(meta).encode())
            _sync(stream)


def _distinct(actions: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Sort (frame, class, visible) rows and keep one of each frame and class: the visible one, if any."""
    frame, class_index, visible = actions.T
    ordered = actions[np.lexsort((-visible, class_index, frame))]
    is_new = np.ones(len(ordered), dtype=bool)
    is_new[1:] = (ordered[1:, :2] != ordered[:-1, :2]).any(axis=1)
    return ordered[is_new]


def _sync(stream: IO[bytes]) -> None:
    # The folder is renamed when it is whole: the data must reach the disk before its name does.
    stream.flush()
    os.fsync(stream.fileno())
