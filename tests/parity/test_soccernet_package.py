"""Scores beside those of the installed SoccerNet package, on random spots and actions."""

import numpy as np
import numpy.typing as npt
import pytest

from model.metrics.average_map import LOOSE_TOLERANCES_S, TIGHT_TOLERANCES_S, score_spots
from model.spots import Spots
from model.timeline import FrameRate

with np.errstate():  # the package turns numpy's warnings off for good
    from SoccerNet.Evaluation.ActionSpotting import average_mAP

HALVES, FRAMES = 6, 600
Dense = list[npt.NDArray[np.float64]]


@pytest.mark.parametrize("tolerances_s", [LOOSE_TOLERANCES_S, TIGHT_TOLERANCES_S], ids=["loose", "tight"])
@pytest.mark.parametrize(("classes", "digits"), [(3, 9), (17, 1)])
def test_all_six_numbers_are_those_of_the_package(
    classes: int, digits: int, tolerances_s: tuple[float, ...]
) -> None:
    random = np.random.default_rng(classes)
    # In the first half nothing happens; the last class has no unshown action. One digit makes many ties.
    targets = [
        random.choice([0, 1, -1], size=(FRAMES, classes), p=[0.985, 0.01, 0.005]) for _ in range(HALVES)
    ]
    targets[0][:] = 0
    for target in targets:
        target[:, -1] = np.abs(target[:, -1])
    detections = [detect(target, random).round(digits) for target in targets]
    deltas = np.array(tolerances_s)
    with np.errstate(divide="ignore", invalid="ignore"):
        published = average_mAP(targets, detections, [closest(target) for target in targets], 2, deltas)

    score = score_spots(
        spots_of(detections),
        actions_of(targets),
        classes=classes,
        frame_rate=FrameRate(2.0),
        nms_window_s=0.0,
        tolerances_s=tolerances_s,
    )
    unshown = score.unshown.average_map * (classes - 1) / classes * 17 / 13
    ours = [
        *(score.all.average_map, score.all.per_class),
        *(score.visible.average_map, score.visible.per_class),
        *(unshown, score.unshown.per_class),
    ]
    assert min(score.all.average_map, score.visible.average_map, score.unshown.average_map) > 0
    for mine, theirs in zip(ours, published, strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=0, atol=1e-9)


def detect(target: npt.NDArray[np.int64], random: np.random.Generator) -> npt.NDArray[np.float64]:
    """Confidences of a half, -1 where nothing is found: near most actions, and anywhere."""
    confidence = np.full(target.shape, -1.0)
    frame, class_index = np.nonzero(target)
    moved = np.clip(frame + random.integers(-8, 9, size=len(frame)), 0, FRAMES - 1)
    confidence[moved, class_index] = random.random(len(frame))
    anywhere = random.random(target.shape) < 0.01
    confidence[anywhere] = random.random(anywhere.sum()) * 0.6
    return confidence


def closest(target: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """Value of the closest action, -1 for none, as the package's ``evaluate`` prepares it."""
    values = np.full(target.shape, -1.0)
    for class_index, column in enumerate(target.T):
        action = np.flatnonzero(column)
        if len(action):
            owner = np.searchsorted((action[1:] + action[:-1]) // 2, np.arange(FRAMES), side="right")
            values[:, class_index] = column[action[owner]]
    return values


def spots_of(detections: Dense) -> Spots:
    half, frame, class_index = np.nonzero(np.array(detections) >= 0)
    return Spots.from_rows(half, frame, class_index, np.array(detections)[half, frame, class_index])


def actions_of(targets: list[npt.NDArray[np.int64]]) -> npt.NDArray[np.int64]:
    half, frame, class_index = np.nonzero(targets)
    visible = np.array(targets)[half, frame, class_index] > 0
    return np.column_stack([half, frame, class_index, visible])
