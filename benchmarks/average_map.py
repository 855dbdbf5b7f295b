"""Comparison of Average-mAP with the SoccerNet package: equal results, and the time of both.

    python benchmarks/average_map.py

Makes random spots and actions for 200 halves (as many as SoccerNet's test split has), scores them with both
implementations, loose and tight, and prints one line for each. The package runs once, ours five times (the
median is printed). The package reads dense arrays, ours reads a list; their preparation is not timed.
"""

import time
from dataclasses import dataclass
from statistics import median

import numpy as np
import numpy.typing as npt
from SoccerNet.Evaluation.ActionSpotting import average_mAP

from model.metrics.average_map import LOOSE_TOLERANCES_S, TIGHT_TOLERANCES_S, SpottingScore, score_spots
from model.spots import Spots
from model.timeline import FrameRate

HALVES, FRAMES = 200, 5_400
RATE = FrameRate(2.0)
TOLERANCES_S = {"loose": LOOSE_TOLERANCES_S, "tight": TIGHT_TOLERANCES_S}
REPETITIONS = 5
UNSHOWN = 0.15

# Actions of each class in 100 games, about as in SoccerNet-v2.
THREE_CLASSES = (568, 430, 341)
SEVENTEEN_CLASSES = (
    *(6362, 3784, 2335, 2104, 1579, 1164, 1051, 967, 568),
    *(513, 440, 420, 409, 341, 35, 11, 9),
)


@dataclass(frozen=True)
class Data:
    """Spots and actions as a list and as the dense arrays of the package."""

    name: str
    classes: int
    spots: Spots
    actions: npt.NDArray[np.int64]
    targets: npt.NDArray[np.float64]
    """Actions (halves, frames, classes): 1 visible, -1 unshown, 0 none."""
    closest: npt.NDArray[np.float64]
    """Value of the closest action (halves, frames, classes); -1 in halves without an action."""
    detections: npt.NDArray[np.float64]
    """Confidence of spots (halves, frames, classes); -1 where there is none."""


def make(counts: tuple[int, ...], spots: int, *, always_shown: int) -> Data:
    """Make random actions, and spots of which half are within seconds of an action and half are random.

    The last ``always_shown`` classes have no unshown actions.
    """
    random = np.random.default_rng(0)
    classes = len(counts)
    class_index = np.repeat(np.arange(classes), counts)
    places = np.column_stack([random.integers((HALVES, FRAMES), size=(len(class_index), 2)), class_index])
    places = np.unique(places, axis=0)
    visible = (random.random(len(places)) > UNSHOWN) | (places[:, 2] >= classes - always_shown)
    actions = np.column_stack([places, visible]).astype(np.int64)
    targets = dense(places, np.where(visible, 1.0, -1.0), classes, nothing=0.0)

    rows = places[random.integers(len(places), size=2 * spots)]
    moved = np.rint(rows[:, 1] + random.normal(0, 8, len(rows))).astype(np.int64)
    anywhere = random.random(len(rows)) < 0.5
    rows[:, 1] = np.where(anywhere, random.integers(FRAMES, size=len(rows)), moved.clip(0, FRAMES - 1))
    rows = random.permutation(np.unique(rows, axis=0))[:spots]
    score = random.beta(1, 2, len(rows)).astype(np.float32)
    return Data(
        name=f"{len(rows):,} spots and {len(actions):,} actions of {classes} classes",
        classes=classes,
        spots=Spots.from_rows(*rows.T, score),
        actions=actions,
        targets=targets,
        closest=np.stack([closest(target) for target in targets]),
        detections=dense(rows, score, classes, nothing=-1.0),
    )


def dense(
    rows: npt.NDArray[np.int64], values: npt.NDArray[np.floating], classes: int, *, nothing: float
) -> npt.NDArray[np.float64]:
    """Fill an array (halves, frames, classes) with ``values`` at ``rows`` and ``nothing`` elsewhere."""
    array = np.full((HALVES, FRAMES, classes), nothing)
    array[tuple(rows.T)] = values
    return array


def closest(target: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return the value of the closest action at every frame of a half, as the package prepares it."""
    values = np.full_like(target, -1.0)
    for class_index, column in enumerate(target.T):
        action = np.flatnonzero(column)
        if len(action):
            owner = np.searchsorted((action[1:] + action[:-1]) // 2, np.arange(FRAMES), side="right")
            values[:, class_index] = column[action[owner]]
    return values


def compare(data: Data, kind: str) -> str:
    """Score with both implementations and describe the results in one line."""
    tolerances_s = TOLERANCES_S[kind]
    started = time.perf_counter()
    package = average_mAP(
        list(data.targets), list(data.detections), list(data.closest), RATE.per_second, np.array(tolerances_s)
    )
    package_s = time.perf_counter() - started

    times_s = []
    for _ in range(REPETITIONS):
        started = time.perf_counter()
        score = score_spots(
            data.spots,
            data.actions,
            classes=data.classes,
            frame_rate=RATE,
            nms_window_s=0.0,
            tolerances_s=tolerances_s,
        )
        times_s.append(time.perf_counter() - started)
    ours_s = median(times_s)

    difference = max(np.abs(np.subtract(*pair)).max() for pair in zip(numbers(score), package, strict=True))
    if difference > 1e-9:
        raise SystemExit(f"{data.name}, {kind}: the results differ by {difference:.1e}")
    values = ", ".join(f"{part.average_map:.4f}" for part in (score.all, score.visible, score.unshown))
    return (
        f"{data.name}, {kind}: package {package_s:.1f} s, ours {1000 * ours_s:.1f} ms, "
        f"{package_s / ours_s:,.0f} times faster; all, visible, unshown {values}; "
        f"largest difference {difference:.0e}"
    )


def numbers(score: SpottingScore) -> list[float | tuple[float, ...]]:
    """Return the six results of the package; its unshown score is 17/13 of the mean over all classes."""
    unshown = score.unshown.average_map * float(score.unshown.counted.mean()) * 17 / 13
    return [
        *(score.all.average_map, score.all.per_class),
        *(score.visible.average_map, score.visible.per_class),
        *(unshown, score.unshown.per_class),
    ]


if __name__ == "__main__":
    for counts, spots, always_shown in ((THREE_CLASSES, 22_540, 1), (SEVENTEEN_CLASSES, 67_666, 4)):
        data = make(counts, spots, always_shown=always_shown)
        for kind in TOLERANCES_S:
            print(compare(data, kind), flush=True)
