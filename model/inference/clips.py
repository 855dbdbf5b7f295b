"""Highlight clips of a game (section 5): spotted actions, and sequences with high segmentation scores."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from model.spots import Spots
from model.timeline import FrameRate

LEAST_SCORE = 0.5
"""Least segmentation score of a sequence: eta of section 5."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """Spotted action, or sequence of frames with high segmentation scores."""

    kind: Literal["spot", "sequence"]
    half: int
    """Index of the half; 0 is the first."""
    class_index: int
    start_s: float
    """Start, in seconds since the start of the half."""
    stop_s: float
    """End, in seconds since the start of the half; equal to ``start_s`` for a spot."""
    score: float
    """Confidence of the spot, or highest segmentation score of the sequence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Clip:
    """Interval of one half, with the moments that it shows."""

    half: int
    start_s: float
    stop_s: float
    moments: tuple[Moment, ...]
    """Moments in order of their start; at least one."""

    @property
    def score(self) -> float:
        """Highest score of its moments."""
        return max(moment.score for moment in self.moments)


def spotted_moments(spots: Spots, least_scores: Mapping[int, float], frame_rate: FrameRate) -> list[Moment]:
    """Select the spots whose confidence reaches the threshold of their class.

    Args:
        spots: Spots of one game.
        least_scores: Class index -> least confidence; classes not listed are omitted.
        frame_rate: Frame rate of ``spots``.
    """
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
    """Find the longest runs of frames whose segmentation score is at least ``least_score``.

    The first and last r/2 frames of a half are omitted. The segmentation loss does not count frames this
    close to the ends of a chunk, and the normalisation has one weight per frame position: at these positions
    the weights hardly change in training, and scores are near 0.5 in any case. Elsewhere in a half, stitching
    takes the scores from a neighbouring chunk; at the ends of a half there is no such chunk.

    Args:
        segmentation: (frames, classes) for every half, in [0, 1], high just after an action.
        classes: Indices of the classes to search.
        least_score: Least segmentation score (eta).
        edge_frames: Frames to omit at either end of a half (r/2).
        frame_rate: Frame rate of ``segmentation``.
    """
    moments = []
    for half, scores in enumerate(segmentation):
        for index in classes:
            trained = scores[edge_frames : max(edge_frames, len(scores) - edge_frames), index]
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
    """Cut clips from ``before_s`` before every moment to ``after_s`` after it, in order of time.

    Clips that overlap or touch are merged.

    Args:
        moments: Moments of one game.
        lengths_s: Duration of every half in seconds; clips stay inside their half.
        before_s: Seconds before a moment.
        after_s: Seconds after a moment.
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
    """Select the clips that show none of ``actions``, (n, 2): index of the half and frame."""
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
