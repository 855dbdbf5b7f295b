"""Features of one part of a game: from its video to a ``.npy`` file, which a killed process continues."""

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO

import numpy as np
import numpy.typing as npt
import torch

from model.data.layout.game_files import feature_name
from model.documents import parse_json
from model.errors import DataError
from model.features.decoding import Gap, Video, frames_from
from model.features.networks import FeatureNetwork
from model.features.pca import Pca
from model.features.pictures import Cropper
from model.files import write_whole
from model.locks import try_lock
from model.recipe import Recipe

BATCH = 32
"""Pictures that the network sees at once; after each batch the features are on disk."""
_ENDS_BYTES = 1 << 20
_DTYPE = np.dtype("<f2")
_SHORTENED_FRAMES = 4096

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Origin of the features in a file."""

    video: str
    """Digest of the video; see ``video_digest``."""
    recipe: Recipe
    dims: int
    """Length of the feature vectors."""

    def is_of(self, video: str, recipe: Recipe) -> bool:
        """Whether the features are those of a video, given by its digest, with this recipe."""
        return self.video == video and self.recipe == recipe


@dataclass(frozen=True, slots=True, kw_only=True)
class PartFile:
    """Feature file of one part of a game, with the files beside it."""

    folder: Path
    """Folder of the game."""
    number: int
    stem: str

    @property
    def path(self) -> Path:
        """The finished features."""
        return self.folder / feature_name(self.number, self.stem)

    @property
    def source_file(self) -> Path:
        """Recipe and video of the features."""
        return self.folder / f"{self.number}_{self.stem}.json"

    @property
    def begun(self) -> Path:
        """Rows of features that are not finished."""
        return self.folder / f".{self.number}_{self.stem}.rows"

    def source(self) -> Source | None:
        """Return the origin of the features; None if it is unknown."""
        try:
            known = parse_json(self.source_file.read_bytes())
            recipe = Recipe.read(known["recipe"])
            return Source(video=str(known["video"]), recipe=recipe, dims=int(known["dims"]))
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def write_source(self, source: Source) -> None:
        """Write the origin of the features."""
        content = {"video": source.video, "recipe": source.recipe.table(), "dims": source.dims}
        write_whole(self.source_file, json.dumps(content, indent=1).encode())

    def is_finished(self, video: str, recipe: Recipe) -> bool:
        """Whether the file of features is there.

        Args:
            video: Digest of the video.
            recipe: Recipe of the features.

        Raises:
            DataError: It has features of another video or recipe, or of an unknown one.
        """
        if not self.path.is_file():
            return False
        known = self.source()
        if known is None or not known.is_of(video, recipe):
            raise DataError(
                "this file has features of another video or recipe, or of an unknown one",
                file=self.path,
                fix="delete it to extract it again, or choose another --to FOLDER",
            )
        return True


def extract_part(
    video: Path,
    target: PartFile,
    network: FeatureNetwork,
    recipe: Recipe,
    *,
    pca: Pca | None = None,
    device: torch.device,
    note: Callable[[Gap], None],
    progress: Progress,
) -> int:
    """Write the features of one video, unless they are there; return how many frames were computed.

    Rows of a process that was killed are kept, and decoding goes on where they end.

    Args:
        video: The video.
        target: File to write.
        network: The network of ``recipe``.
        recipe: Recipe of the features.
        pca: Principal components of ``recipe``; None if it has none.
        device: Device of the network.
        note: Called with every gap of the video.
        progress: Called with (frames done, frames expected); 0 expected: unknown.

    Raises:
        DataError: The video cannot be read, or the file has features of another video or recipe.
    """
    digest = video_digest(video)

    def write_rows(stream: IO[bytes]) -> int:
        known = target.source()
        is_same = known is not None and known.is_of(digest, recipe)
        done = first = _keep_whole_rows(stream, known.dims if known is not None and is_same else None)
        total = _stated_frames(video, recipe)
        progress(done, max(total, done))
        for rows in _rows_from(video, network, recipe, pca, device, first=first, note=note):
            if not done:
                target.write_source(Source(video=digest, recipe=recipe, dims=rows.shape[1]))
            stream.write(rows.tobytes())
            stream.flush()
            os.fsync(stream.fileno())
            done += len(rows)
            progress(done, max(total, done))
        return done - first

    return _finished_once(target, digest, recipe, write_rows)


def shorten_part(video: Path, whole: PartFile, target: PartFile, recipe: Recipe, pca: Pca) -> None:
    """Write the features of ``whole`` shortened by ``pca`` to ``target``, unless they are there.

    Args:
        video: The video.
        whole: Features that ``extract_part`` wrote.
        target: File to write.
        recipe: Recipe of ``whole``.
        pca: Principal components of the shortened features.

    Raises:
        DataError: The video does not exist, or one of the files has features of another video or recipe.
    """
    digest, shorter = video_digest(video), replace(recipe, pca=pca.digest)

    def write_rows(stream: IO[bytes]) -> int:
        if not whole.is_finished(digest, recipe):
            raise DataError("the features to shorten do not exist", file=whole.path)
        stream.truncate(0)  # rows that another process took from the video
        target.write_source(Source(video=digest, recipe=shorter, dims=len(pca.components)))
        features = np.load(whole.path, mmap_mode="r", allow_pickle=False)
        for start in range(0, len(features), _SHORTENED_FRAMES):
            rows = pca.apply(features[start : start + _SHORTENED_FRAMES])
            stream.write(rows.astype(_DTYPE).tobytes())
        stream.flush()
        return len(features)

    _finished_once(target, digest, shorter, write_rows)


def video_digest(video: Path) -> str:
    """Return the SHA-256 of the size of a file and of its first and last MiB.

    Raises:
        DataError: The file does not exist.
    """
    if not video.is_file():
        raise DataError("the video does not exist", file=video)
    size = video.stat().st_size
    with video.open("rb") as stream:
        digest = hashlib.sha256(f"{size}\0".encode() + stream.read(_ENDS_BYTES))
        stream.seek(max(0, size - _ENDS_BYTES))
        digest.update(stream.read())
    return digest.hexdigest()


def _finished_once(
    target: PartFile, video: str, recipe: Recipe, write_rows: Callable[[IO[bytes]], int]
) -> int:
    """Finish ``target`` with the rows that ``write_rows`` adds, unless it is; return what that returns.

    Raises:
        DataError: The file has features of another video or recipe, or another process writes them.
    """
    if target.is_finished(video, recipe) and not target.begun.exists():
        return 0
    target.folder.mkdir(parents=True, exist_ok=True)
    with target.begun.open("ab") as stream:
        _lock(stream, target)
        if target.is_finished(video, recipe):  # by a process that held the lock until now, or was killed
            target.begun.unlink(missing_ok=True)
            return 0
        written = write_rows(stream)
        _finish(target)
    return written


def _lock(stream: IO[bytes], target: PartFile) -> None:
    """Lock the rows until they are closed, so that two processes do not mix theirs.

    Raises:
        DataError: Another process has locked them.
        StorageError: The file system has no locks.
    """
    if not try_lock(stream.fileno(), target.path):
        raise DataError(
            "another process is extracting these features", file=target.path, fix="wait until it has ended"
        )


def _stated_frames(video: Path, recipe: Recipe) -> int:
    """Return how many frames the video has by its own account; 0 if it gives none."""
    with Video(video) as opened:
        stated = opened.stated_s
    return int(stated * int(recipe.frame_rate * 1000) / 1000) if stated is not None else 0


def _rows_from(
    video: Path,
    network: FeatureNetwork,
    recipe: Recipe,
    pca: Pca | None,
    device: torch.device,
    *,
    first: int,
    note: Callable[[Gap], None],
) -> Iterator[npt.NDArray[np.float16]]:
    """Yield the features of batches of frames, from the frame ``first`` on."""
    with Video(video) as opened:
        aspect = opened.pixel_aspect
    crop = Cropper(network.size)
    frames = frames_from(video, recipe.frame_rate, first=first, note=note)
    for batch in _ahead(_batches(crop(frame, aspect) for frame in frames)):
        rows = network.features(batch, device)
        yield (rows if pca is None else pca.apply(rows)).astype(_DTYPE)


def _keep_whole_rows(stream: IO[bytes], dims: int | None) -> int:
    """Cut off a row that was not written to its end, or all rows if ``dims`` is None; return their number."""
    row = _DTYPE.itemsize * (dims or 0)
    rows = stream.seek(0, os.SEEK_END) // row if row else 0
    stream.truncate(rows * row)
    return rows


def _batches(pictures: Iterable[npt.NDArray[np.uint8]]) -> Iterator[npt.NDArray[np.uint8]]:
    batch: list[npt.NDArray[np.uint8]] = []
    for picture in pictures:
        batch.append(picture)
        if len(batch) == BATCH:
            yield np.stack(batch)
            batch = []
    if batch:
        yield np.stack(batch)


def _ahead(batches: Iterator[npt.NDArray[np.uint8]]) -> Iterator[npt.NDArray[np.uint8]]:
    """Yield batches; a thread decodes the next one meanwhile."""
    with ThreadPoolExecutor(1) as pool:
        pending = pool.submit(next, batches, None)
        while (batch := pending.result()) is not None:
            pending = pool.submit(next, batches, None)
            yield batch


def _finish(target: PartFile) -> None:
    """Turn the rows into a ``.npy`` file, which appears complete."""
    known = target.source()
    assert known is not None, "it is written before the first row"
    dims = known.dims
    temporary = target.begun.with_suffix(".npy")
    rows = target.begun.stat().st_size // (dims * _DTYPE.itemsize)
    with temporary.open("wb") as stream, target.begun.open("rb") as content:
        header = {"descr": _DTYPE.str, "fortran_order": False, "shape": (rows, dims)}
        np.lib.format.write_array_header_1_0(stream, header)
        shutil.copyfileobj(content, stream)
        stream.flush()
        os.fsync(stream.fileno())
    temporary.replace(target.path)
    target.begun.unlink()
