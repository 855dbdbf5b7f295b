"""Labels of a video for the boundary-matching network, as in the published code."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from model.data.stores.distances import action_distances

BOUNDARY_POSITIONS = 3.0
"""Width of the region around a boundary that counts as boundary, in positions."""


@dataclass(frozen=True, slots=True)
class BoundaryLabels:
    """Labels of one video."""

    start: npt.NDArray[np.float32]
    """(positions,): fraction of a position that lies within 1.5 positions of the start of an activity."""
    end: npt.NDArray[np.float32]
    """(positions,): fraction of a position that lies within 1.5 positions of the end of an activity."""
    overlap: npt.NDArray[np.float32]
    """(starts, ends): largest IoU of [start, end + 1] with an activity; 0 where end < start."""
    past: npt.NDArray[np.int16]
    """(positions, 2): positions since the closest start (column 0) and end (column 1).

    Computed by ``data.distances.action_distances``.
    """
    future: npt.NDArray[np.int16]
    """(positions, 2): minus the number of positions until the next start and end."""


def boundary_labels(segments: npt.NDArray[np.float64], positions: int) -> BoundaryLabels:
    """Compute the labels of a video from its activities.

    Args:
        segments: (n, 2): start and end as fractions of the duration that the features cover, in [0, 1].
        positions: Number of temporal positions (T).
    """
    return BoundaryLabels(
        _near(segments[:, 0], positions),
        _near(segments[:, 1], positions),
        _overlap_map(segments, positions),
        *boundary_distances(segments, positions),
    )


def boundary_distances(
    segments: npt.NDArray[np.float64], positions: int
) -> tuple[npt.NDArray[np.int16], npt.NDArray[np.int16]]:
    """Compute the distances to starts and ends for the time-shift encoding, as two classes on T positions.

    Position i covers [i - 0.5, i + 0.5] / T, as in the published labels: a boundary lies on the nearest one.
    """
    at = np.minimum(np.floor(segments * positions + 0.5), positions - 1).astype(np.int64)
    kinds = np.broadcast_to(np.arange(2), at.shape)
    return action_distances(np.stack([at.ravel(), kinds.ravel()], axis=1), frames=positions, classes=2)


def _near(boundaries: npt.NDArray[np.float64], positions: int) -> npt.NDArray[np.float32]:
    gap = 1.0 / positions
    middle = np.arange(positions)
    low, high = gap * (middle - 0.5), gap * (middle + 0.5)
    reach = BOUNDARY_POSITIONS * gap / 2
    shared = np.minimum(high[:, None], boundaries + reach) - np.maximum(low[:, None], boundaries - reach)
    share = np.maximum(shared, 0.0) / (high - low)[:, None]
    return np.asarray(share.max(axis=1, initial=0.0), dtype=np.float32)


def _overlap_map(segments: npt.NDArray[np.float64], positions: int) -> npt.NDArray[np.float32]:
    gap = 1.0 / positions
    low, high = np.arange(positions)[:, None, None] * gap, np.arange(1, positions + 1)[None, :, None] * gap
    start, end = segments[:, 0], segments[:, 1]
    shared = np.maximum(np.minimum(high, end) - np.maximum(low, start), 0.0)
    overlap = shared / np.maximum(high - low - shared + end - start, gap * 1e-9)
    return np.asarray(np.triu(overlap.max(axis=2, initial=0.0)), dtype=np.float32)
