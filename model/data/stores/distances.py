"""Distances from every frame to the closest actions, which do not depend on the zones."""

import numpy as np
import numpy.typing as npt

from model.timeline import FARTHEST, NO_FUTURE, NO_PAST


def action_distances(
    actions: npt.NDArray[np.int64], *, frames: int, classes: int
) -> tuple[npt.NDArray[np.int16], npt.NDArray[np.int16]]:
    """Compute the distance of each frame of one half to its closest action of each class.

    Args:
        actions: (n, 2): frame within the half, class; in any order.
        frames: Number of frames of the half.
        classes: Number of classes.

    Returns:
        past: (frames, classes), the frame minus the closest action at or before it: 0 on an action, else
            positive; ``NO_PAST`` where there is no such action.
        future: (frames, classes), the frame minus the closest action strictly after it: negative;
            ``NO_FUTURE`` where there is no such action.
    """
    past = np.full((frames, classes), NO_PAST, dtype=np.int16)
    future = np.full((frames, classes), NO_FUTURE, dtype=np.int16)
    every_frame = np.arange(frames)
    for index in np.unique(actions[:, 1]):
        at = np.sort(actions[actions[:, 1] == index, 0])
        following = np.searchsorted(at, every_frame, side="right")
        has_past, has_future = following > 0, following < len(at)
        since = every_frame[has_past] - at[following[has_past] - 1]
        until = every_frame[has_future] - at[following[has_future]]
        past[has_past, index] = np.minimum(since, FARTHEST)
        future[has_future, index] = np.maximum(until, -FARTHEST)
    return past, future
