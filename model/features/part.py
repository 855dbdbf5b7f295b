"""Features of one part of a game: from its video to a ``.npy`` file, which a killed process continues."""

import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt
import torch

from model.documents import parse_json
from model.errors import DataError
from model.features.decoding import Gap, Video, frames_from
from model.features.networks import FeatureNetwork
from model.features.pca import Pca
from model.features.pictures import Cropper
from model.files import write_whole
from model.recipe import Recipe

BATCH = 32
"""Pictures that the network sees at once; after each batch the features are on disk."""
_ENDS_BYTES = 1 << 20
_DTYPE = np.dtype("<f2")
_SHORTENED_FRAMES = 4096

Progress = Callable[[int, int], None]


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
        return self.folder / f"{self.number}_{self.stem}.npy"

    @property
    def source(self) -> Path:
        """Recipe and video of the features."""
        return self.folder / f"{self.number}_{self.stem}.json"

    @property
    def begun(self) -> Path:
        """Rows of features that are not finished."""
        return self.folder / f".{self.number}_{self.stem}.rows"


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
    source = {"video": video_digest(video), "recipe": recipe.table()}
    known = _known_source(target)
    is_same = known is not None and all(known[name] == value for name, value in source.items())
    if target.path.is_file():
        if not is_same:
            raise DataError(
                "this file has features of another video or recipe, or of an unknown one",
                file=target.path,
                fix="delete it to extract it again, or choose another --to FOLDER",
            )
        return 0
    target.folder.mkdir(parents=True, exist_ok=True)
    with Video(video) as opened:
        stated, aspect = opened.stated_s, opened.pixel_aspect
    total = int(stated * int(recipe.frame_rate * 1000) / 1000) if stated is not None else 0
    crop, computed = Cropper(network.size), 0
    with target.begun.open("ab") as stream:
        _lock(stream, target)
        done = _keep_whole_rows(stream, known["dims"] if known is not None and is_same else None)
        progress(done, max(total, done))
        frames = frames_from(video, recipe.frame_rate, first=done, note=note)
        for batch in _ahead(_batches(crop(frame, aspect) for frame in frames)):
            rows = network.features(batch, device)
            if pca is not None:
                rows = pca.apply(rows)
            if not done + computed:
                write_whole(target.source, json.dumps({**source, "dims": rows.shape[1]}, indent=1).encode())
            stream.write(rows.astype(_DTYPE).tobytes())
            stream.flush()
            os.fsync(stream.fileno())
            computed += len(rows)
            progress(done + computed, max(total, done + computed))
    _finish(target)
    return computed


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


def shorten_part(whole: PartFile, target: PartFile, recipe: Recipe, pca: Pca) -> None:
    """Write the features of ``whole`` shortened by ``pca`` to ``target``, unless they are there.

    Args:
        whole: Features that ``extract_part`` wrote.
        target: File to write.
        recipe: Recipe of the shortened features.
        pca: Their principal components.
    """
    known = _known_source(whole)
    if target.path.is_file() or known is None:
        return
    source = {"video": known["video"], "recipe": recipe.table(), "dims": len(pca.components)}
    write_whole(target.source, json.dumps(source, indent=1).encode())
    features = np.load(whole.path, mmap_mode="r", allow_pickle=False)
    with target.begun.open("wb") as stream:
        for start in range(0, len(features), _SHORTENED_FRAMES):
            rows = pca.apply(features[start : start + _SHORTENED_FRAMES])
            stream.write(rows.astype(_DTYPE).tobytes())
    _finish(target)


def _known_source(target: PartFile) -> dict[str, Any] | None:
    try:
        known = parse_json(target.source.read_bytes())
        Recipe.read(known["recipe"])
        return {"video": str(known["video"]), "recipe": known["recipe"], "dims": int(known["dims"])}
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _lock(stream: IO[bytes], target: PartFile) -> None:
    """Lock the rows until they are closed, so that two processes do not mix theirs.

    Raises:
        DataError: Another process has locked them.
    """
    try:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise DataError(
            "another process is extracting these features", file=target.path, fix="wait until it has ended"
        ) from None


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
    known = _known_source(target)
    assert known is not None, "it is written before the first row"
    dims = known["dims"]
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
