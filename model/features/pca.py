"""Principal components that shorten feature vectors, fitted on the training split only."""

import hashlib
import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from model.data.layout.feature_file import (
    FeatureFile,
    read_header,
    row_blocks,
    unusable_values,
    width_mismatches,
)
from model.errors import DataError, Problem
from model.files import write_whole

_LEAST_BLOCK = 4096
_KEYS = ("mean", "components")


@dataclass(frozen=True, slots=True, eq=False)
class Pca:
    """Mean and principal components of features."""

    mean: npt.NDArray[np.float32]
    """(dims,)."""
    components: npt.NDArray[np.float32]
    """(shorter dims, dims)."""

    @property
    def digest(self) -> str:
        """SHA-256 of the numbers."""
        digest = hashlib.sha256(str(self.components.shape).encode())
        for values in (self.mean, self.components):
            digest.update(np.ascontiguousarray(values, dtype="<f4").tobytes())
        return digest.hexdigest()

    def apply(self, features: npt.NDArray[np.floating]) -> npt.NDArray[np.float16]:
        """Return shorter vectors, (frames, shorter dims).

        Raises:
            DataError: The vectors have another length than those that the components were fitted to.
        """
        if features.shape[1] != len(self.mean):
            raise DataError(
                f"the principal components are for vectors of {len(self.mean)} values, got "
                f"{features.shape[1]}",
                fix="give the components that were fitted to features of this network",
            )
        shorter = (features.astype(np.float32) - self.mean) @ self.components.T
        return np.clip(shorter, -65504, 65504).astype(np.float16)

    def save(self, file: Path) -> None:
        """Write the components to ``file`` (.npz) atomically."""
        content = io.BytesIO()
        np.savez(content, mean=self.mean, components=self.components)
        write_whole(file, content.getbuffer())

    @classmethod
    def load(cls, file: Path) -> "Pca":
        """Load what ``save`` wrote.

        Raises:
            DataError: The file is missing or has other content.
        """
        try:
            with np.load(file, allow_pickle=False) as arrays:
                mean, components = (np.asarray(arrays[name], dtype=np.float32) for name in _KEYS)
            if components.ndim != 2 or mean.shape != components.shape[1:]:
                raise ValueError(f"expected components of {mean.shape} values, got {components.shape}")
        except Exception as error:  # numpy raises many types for damaged files
            raise DataError(
                "this file has no principal components", file=file, reason=" ".join(str(error).split())
            ) from error
        return cls(mean, components)


def fit_pca(files: Iterable[Path], dims: int) -> Pca:
    """Fit ``dims`` principal components to the feature files of the training split, file by file.

    Raises:
        DataError: Files cannot be used, all of which are listed, or have too few frames or too short vectors.
    """
    from sklearn.decomposition import IncrementalPCA  # type: ignore[import-untyped]  # no type hints

    model = IncrementalPCA(n_components=dims)
    frames, width = 0, 0
    for block in _blocks(_usable(files), max(_LEAST_BLOCK, 2 * dims)):
        frames, width = frames + len(block), block.shape[1]
        if len(block) < dims or width < dims:
            break
        model.partial_fit(block)
    if frames < dims or width < dims or not hasattr(model, "components_"):
        raise DataError(
            f"{dims} principal components need as many frames and values, the training split has {frames} "
            f"frames of {width} values",
            fix="choose a smaller --dims, or put more games into the training split",
        )
    return Pca(model.mean_.astype(np.float32), model.components_.astype(np.float32))


def _usable(files: Iterable[Path]) -> list[FeatureFile]:
    headers = [read_header(file) for file in files]
    halves = [header for header in headers if isinstance(header, FeatureFile)]
    problems = [header for header in headers if isinstance(header, Problem)]
    problems += [*width_mismatches(halves), *filter(None, map(unusable_values, halves))]
    if problems:
        raise DataError("features of the training split cannot be used for principal components", problems)
    return halves


def _blocks(files: Iterable[FeatureFile], frames: int) -> Iterator[npt.NDArray[np.float32]]:
    """Yield blocks of at least ``frames`` rows while there are so many; the rest joins the last block."""
    waiting: list[npt.NDArray[np.float32]] = []
    count = 0
    for file in files:
        for block in row_blocks(file, "float32"):
            waiting.append(block)
            count += len(block)
            while count >= 2 * frames:
                rows = np.concatenate(waiting)
                yield rows[:frames]
                waiting, count = [rows[frames:]], count - frames
    if waiting:
        yield np.concatenate(waiting)
