"""From the scores of all pairs of positions to a hundred proposals a video (BMN, section 4.4)."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from model.errors import ConfigError

_BLOCK = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class SoftNmsConfig:
    """How proposals that overlap a better one lose score. Defaults are the published ones."""

    alpha: float = 0.4
    """A proposal's score is multiplied by exp(-IoU^2 / alpha)."""
    low: float = 0.5
    """Only where the IoU exceeds this for the shortest of the better ones,"""
    high: float = 0.9
    """and this for one as long as the video."""
    proposals: int = 100
    """Kept of a video."""

    def __post_init__(self) -> None:
        if not self.alpha > 0.0 or not 0.0 <= self.low <= self.high <= 1.0 or self.proposals < 1:
            raise ConfigError(
                "soft-NMS needs alpha > 0, 0 <= low <= high <= 1 and at least 1 proposal, "
                f"got {self.alpha}, {self.low}, {self.high} and {self.proposals}"
            )


def all_pairs(positions: int) -> npt.NDArray[np.int64]:
    """Rows (start, end) of the proposals of a map: they cover [start, end + 1], below ``positions``."""
    start, end = np.triu_indices(positions - 1)
    return np.stack([start, end], axis=1)


def pair_scores(
    start: npt.NDArray[np.float32],
    end: npt.NDArray[np.float32],
    confidence: npt.NDArray[np.float32],
    overlap: npt.NDArray[np.float32],
) -> npt.NDArray[np.float64]:
    """Scores of ``all_pairs``: that of the start, of the end, confidence and IoU, multiplied.

    Args:
        start: (videos, positions).
        end: (videos, positions).
        confidence: (videos, starts, ends).
        overlap: (videos, starts, ends).

    Returns:
        (videos, pairs).
    """
    first, last = all_pairs(start.shape[1]).T
    product = start[:, first] * end[:, last + 1] * confidence[:, first, last] * overlap[:, first, last]
    return product.astype(np.float64)


class SoftNms:
    """Soft non-maximum suppression of the same segments with any scores.

    Which segments a kept one weakens, and by how much, does not depend on scores: it is found once for
    all videos. About 0.6 s and 40 MB for the 4950 pairs of 100 positions.

    Args:
        segments: (n, 2): start and end as shares of the video.
        config: How.
    """

    def __init__(self, segments: npt.NDArray[np.float64], config: SoftNmsConfig) -> None:
        self._keep = min(config.proposals + 1, max(len(segments) - 1, 1))
        self._proposals = config.proposals
        self._first = np.zeros(len(segments) + 1, dtype=np.int64)
        weakened, factors = [], []
        for begin in range(0, len(segments), _BLOCK):
            rows = segments[begin : begin + _BLOCK]
            iou = _iou_table(rows, segments)
            close = iou > (config.low + (config.high - config.low) * (rows[:, 1] - rows[:, 0]))[:, None]
            close[np.arange(len(rows)), np.arange(begin, begin + len(rows))] = False
            self._first[begin + 1 : begin + len(rows) + 1] = close.sum(axis=1)
            weakened.append(np.nonzero(close)[1].astype(np.int32))
            factors.append(np.exp(-np.square(iou[close]) / config.alpha))
        self._first = np.cumsum(self._first)
        self._weakened, self._factors = np.concatenate(weakened), np.concatenate(factors)

    def __call__(
        self, scores: npt.NDArray[np.float64]
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
        """Take the best, weaken what overlaps it, and so on; of equal scores the first wins.

        As published one more than asked for is taken, the very last segment never, and those are sorted.

        Args:
            scores: (n,), at least 0; not written to.

        Returns:
            Indices of the kept segments and their scores, highest first.
        """
        left, kept, values = scores.copy(), [], []
        for _ in range(self._keep):
            best = int(left.argmax())
            kept.append(best)
            values.append(left[best])
            left[best] = -1.0
            overlapping = slice(self._first[best], self._first[best + 1])
            # What is already taken stays below 0 whatever it is multiplied by.
            left[self._weakened[overlapping]] *= self._factors[overlapping]
        order = np.argsort(-np.array(values), kind="stable")
        return np.array(kept)[order], np.array(values)[order]

    @property
    def proposals(self) -> int:
        """How many of the kept are proposals; the one more is not."""
        return self._proposals


def proposals_of(
    scores: npt.NDArray[np.float64], covered_s: npt.NDArray[np.float64], nms: SoftNms, positions: int
) -> list[npt.NDArray[np.float64]]:
    """The proposals of many videos.

    Args:
        scores: (videos, pairs), see ``pair_scores``.
        covered_s: (videos,): seconds of a video that its features cover, see ``published_cover_s``.
        nms: For ``pair_segments(positions)``.
        positions: T.

    Returns:
        For each video (n, 3): start and end in seconds, score; highest score first.
    """
    segments = pair_segments(positions)
    found = []
    for row, seconds in zip(scores, covered_s, strict=True):
        kept, values = nms(row)
        chosen = kept[: nms.proposals]
        found.append(np.column_stack([segments[chosen] * seconds, values[: nms.proposals]]))
    return found


def pair_segments(positions: int) -> npt.NDArray[np.float64]:
    """(pairs, 2): start and end of ``all_pairs`` as shares of the video."""
    return np.asarray((all_pairs(positions) + np.array([0, 1])) / positions)


def published_cover_s(duration_s: npt.ArrayLike, frames: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Seconds up to the last whole 16 frames, over which the published code spreads the positions."""
    count = np.asarray(frames, dtype=np.float64)
    return np.asarray(count // 16 * 16 / count * np.asarray(duration_s, dtype=np.float64))


def _iou_table(rows: npt.NDArray[np.float64], columns: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    # Added up in the published order: on a grid many IoUs lie exactly on the threshold, and rounding decides.
    start, end = rows[:, :1], rows[:, 1:]
    shared = np.maximum(np.minimum(end, columns[:, 1]) - np.maximum(start, columns[:, 0]), 0.0)
    return np.asarray(shared / (columns[:, 1] - columns[:, 0] - shared + end - start))
