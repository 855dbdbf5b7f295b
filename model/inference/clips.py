"""What of a game is worth showing again (section 5): spotted actions, and sequences that look like them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from model.spots import Spots
from model.timeline import FrameRate

BEFORE_S = 15.0
AFTER_S = 20.0
LEAST_SCORE = 0.5
"""Margins of a clip and eta of a sequence, all from section 5."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """A spotted action, or a sequence of frames whose segmentation scores are high."""

    kind: Literal["spot", "sequence"]
    half: int
    """0 is the first."""
    class_index: int
    start_s: float
    """Seconds since the start of the half."""
    stop_s: float
    """The same as ``start_s`` for a spot."""
    score: float
    """Confidence of the spot, highest segmentation score of the sequence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Clip:
    """A stretch of one half, and the moments that it shows."""

    half: int
    start_s: float
    stop_s: float
    moments: tuple[Moment, ...]
    """By their start; at least one."""

    @property
    def score(self) -> float:
        """The highest of its moments."""
        return max(moment.score for moment in self.moments)


def spotted_moments(spots: Spots, least_scores: Mapping[int, float], frame_rate: FrameRate) -> list[Moment]:
    """Spots whose confidence is at least that which ``least_scores`` has for their class; no other class."""
    least = [least_scores.get(index, np.inf) for index in spots.class_index.tolist()]
    kept = spots[spots.score >= np.array(least)]
    rows = zip(kept.half, kept.frame, kept.class_index, kept.score, strict=True)
    moments = []
    for half, frame, class_index, score in rows:
        time_s = frame_rate.to_seconds(int(frame))
        moments.append(
            Moment(
                kind="spot",
                half=int(half),
                class_index=int(class_index),
                start_s=time_s,
                stop_s=time_s,
                score=float(score),
            )
        )
    return moments


def high_sequences(
    segmentation: Sequence[npt.NDArray[np.float32]],
    classes: Iterable[int],
    *,
    least_score: float,
    edge_frames: int,
    frame_rate: FrameRate,
) -> list[Moment]:
    """Longest runs of frames whose segmentation score is at least ``least_score``.

    The first and last r/2 frames of a half are left out. The segmentation loss does not count frames so
    close to the ends of a chunk, and weights of the normalisation belong to a frame's place in its chunk: at
    these places they stay about as they were drawn, and scores are near 0.5 whatever happens. Elsewhere in a
    half the stitching takes the scores from a neighbouring chunk; at the ends of a half there is none.

    Args:
        segmentation: (frames, classes) for every half, in [0, 1], high just after an action.
        classes: Those to look at.
        least_score: eta.
        edge_frames: r/2.
        frame_rate: Of the frames.
    """
    moments = []
    for half, scores in enumerate(segmentation):
        for index in classes:
            trained = scores[edge_frames : len(scores) - edge_frames, index]
            for first, last in _runs(trained >= least_score):
                moments.append(
                    Moment(
                        kind="sequence",
                        half=half,
                        class_index=index,
                        start_s=frame_rate.to_seconds(edge_frames + first),
                        stop_s=frame_rate.to_seconds(edge_frames + last),
                        score=float(trained[first:last].max()),
                    )
                )
    return moments


def cut_clips(
    moments: Iterable[Moment], lengths_s: Sequence[float], *, before_s: float, after_s: float
) -> list[Clip]:
    """Clips from ``before_s`` ahead of every moment to ``after_s`` behind it, in order.

    Clips stay inside their half, of which ``lengths_s`` has the seconds; those that overlap or touch
    become one.
    """
    clips: list[Clip] = []
    for moment in sorted(moments, key=lambda moment: (moment.half, moment.start_s, moment.stop_s)):
        start_s = max(0.0, moment.start_s - before_s)
        stop_s = min(lengths_s[moment.half], moment.stop_s + after_s)
        shown: tuple[Moment, ...] = (moment,)
        if clips and clips[-1].half == moment.half and start_s <= clips[-1].stop_s:
            last = clips.pop()
            start_s, stop_s, shown = last.start_s, max(last.stop_s, stop_s), (*last.moments, moment)
        clips.append(Clip(half=moment.half, start_s=start_s, stop_s=stop_s, moments=shown))
    return clips


def without_actions(
    clips: Iterable[Clip], actions: npt.NDArray[np.int64], frame_rate: FrameRate
) -> list[Clip]:
    """Clips that show none of ``actions``: (n, 2), half from 0 and frame."""
    half, time_s = actions[:, 0], actions[:, 1] / frame_rate.per_second
    return [
        clip
        for clip in clips
        if not np.any((half == clip.half) & (time_s >= clip.start_s) & (time_s <= clip.stop_s))
    ]


def _runs(high: npt.NDArray[np.bool_]) -> list[tuple[int, int]]:
    """First index, and one past the last, of every run of True."""
    steps = np.diff(np.concatenate([[False], high, [False]]).astype(np.int8))
    starts, stops = np.flatnonzero(steps == 1), np.flatnonzero(steps == -1)
    return list(zip(starts.tolist(), stops.tolist(), strict=True))
