"""Select a hundred proposals per video from the scores of all pairs of positions (BMN, section 4.4)."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from model.errors import ConfigError

_BLOCK = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class SoftNmsConfig:
    """Settings of soft non-maximum suppression. Defaults are the published ones."""

    alpha: float = 0.4
    """Decay: the score of an overlapping proposal is multiplied by exp(-IoU^2 / alpha)."""
    low: float = 0.5
    """IoU threshold for the decay if the better proposal has length 0; linear up to ``high``."""
    high: float = 0.9
    """IoU threshold for the decay if the better proposal is as long as the video."""
    proposals: int = 100
    """Number of proposals kept per video."""

    def __post_init__(self) -> None:
        if not self.alpha > 0.0 or not 0.0 <= self.low <= self.high <= 1.0 or self.proposals < 1:
            raise ConfigError(
                "soft-NMS needs alpha > 0, 0 <= low <= high <= 1 and at least 1 proposal, "
                f"got {self.alpha}, {self.low}, {self.high} and {self.proposals}"
            )


def all_pairs(positions: int, longest: int | None = None) -> npt.NDArray[np.int64]:
    """List the proposals of a map as rows (start, end); they cover [start, end + 1], below ``positions``.

    With ``longest``, only those of at most so many positions are listed.
    """
    start, end = np.triu_indices(positions - 1)
    pairs = np.stack([start, end], axis=1)
    return pairs if longest is None else pairs[end - start < longest]


def pair_scores(
    start: npt.NDArray[np.float32],
    end: npt.NDArray[np.float32],
    confidence: npt.NDArray[np.float32],
    overlap: npt.NDArray[np.float32],
    longest: int | None = None,
) -> npt.NDArray[np.float64]:
    """Compute the scores of ``all_pairs``: product of start score, end score, confidence and IoU.

    Args:
        start: Start scores (videos, positions).
        end: End scores (videos, positions).
        confidence: Classification scores (videos, starts, ends).
        overlap: Predicted IoU (videos, starts, ends).
        longest: Length of the longest proposal in positions (D). None: any.

    Returns:
        (videos, pairs).
    """
    first, last = all_pairs(start.shape[1], longest).T
    product = start[:, first] * end[:, last + 1] * confidence[:, first, last] * overlap[:, first, last]
    return product.astype(np.float64)


class SoftNms:
    """Soft non-maximum suppression of the same segments with any scores.

    The decay between two segments does not depend on scores, so it is computed once for all videos: about
    0.6 s and 40 MB for the 4950 pairs of 100 positions.

    Args:
        segments: (n, 2): start and end as fractions of the video.
        config: Settings of the suppression.
    """

    def __init__(self, segments: npt.NDArray[np.float64], config: SoftNmsConfig) -> None:
        self.segments = segments
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
        """Select the best segment, lower the scores of those that overlap it, and repeat.

        Of equal scores the first wins. As published, one segment more than requested is selected, the very
        last segment never is, and the selected segments are sorted by their new scores.

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
            overlapping = slice(self._first[best], self._first[best + 1])
            left[self._weakened[overlapping]] *= self._factors[overlapping]
            # Again for all that is taken: many multiplications would bring it back to 0, like the rest.
            left[kept] = -1.0
        order = np.argsort(-np.array(values), kind="stable")
        return np.array(kept)[order], np.array(values)[order]

    @property
    def proposals(self) -> int:
        """Number of selected segments that are proposals; the additional one is not."""
        return self._proposals


def proposals_of(
    scores: npt.NDArray[np.float64], covered_s: npt.NDArray[np.float64], nms: SoftNms
) -> list[npt.NDArray[np.float64]]:
    """Select the proposals of many videos.

    Args:
        scores: (videos, pairs), see ``pair_scores``.
        covered_s: (videos,): seconds of a video that its features cover.
        nms: Suppression for the ``pair_segments`` of these pairs.

    Returns:
        Proposals of each video (n, 3): start and end in seconds, score; highest score first.
    """
    found = []
    for row, seconds in zip(scores, covered_s, strict=True):
        kept, values = nms(row)
        chosen = kept[: nms.proposals]
        found.append(np.column_stack([nms.segments[chosen] * seconds, values[: nms.proposals]]))
    return found


def pair_segments(positions: int, longest: int | None = None) -> npt.NDArray[np.float64]:
    """Return start and end of ``all_pairs`` as fractions of the video, (pairs, 2)."""
    return np.asarray((all_pairs(positions, longest) + np.array([0, 1])) / positions)


def _iou_table(rows: npt.NDArray[np.float64], columns: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    # Added up in the published order: on a grid many IoUs lie exactly on the threshold, and rounding decides.
    start, end = rows[:, :1], rows[:, 1:]
    shared = np.maximum(np.minimum(end, columns[:, 1]) - np.maximum(start, columns[:, 0]), 0.0)
    return np.asarray(shared / (columns[:, 1] - columns[:, 0] - shared + end - start))
