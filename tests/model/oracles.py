"""The paper, written out frame by frame and slowly; the tests compare the science with it.

Equation, section and algorithm numbers are those of Cioppa et al., "A Context-Aware Loss Function for Action
Spotting in Soccer Videos". Nothing here imports the code under test.
"""

import math
from collections.abc import Callable, Sequence

import numpy as np

NO_PAST, NO_FUTURE = 32767, -32768
THRESHOLDS = np.linspace(0.0, 1.0, 200)

Zones = Sequence[float]
"""K1, K2, K3, K4 in frames."""
Detection = tuple[int, int, int, float]
"""Half, frame, class, confidence."""
Action = tuple[int, int, int]
"""Half, frame, class."""


def distances(action_frames: Sequence[int], frames: int) -> tuple[list[int], list[int]]:
    """Differences (s_p, s_f) of every frame to its closest past and future action of one class."""
    past, future = [], []
    for x in range(frames):
        behind = [x - a for a in action_frames if a <= x]
        ahead = [x - a for a in action_frames if a > x]
        past.append(min(behind) if behind else NO_PAST)
        future.append(max(ahead) if ahead else NO_FUTURE)
    return past, future


def time_shift(action_frames: Sequence[int], frames: int, zones: Zones) -> list[float]:
    """s(x) of every frame x of a half for one class, by the rules of section 7.4."""
    return [_shift_of(x, action_frames, zones) for x in range(frames)]


def _shift_of(x: int, action_frames: Sequence[int], zones: Zones) -> float:
    K1, K2, K3, K4 = zones
    behind = [x - a for a in action_frames if a <= x]
    ahead = [x - a for a in action_frames if a > x]
    if not behind and not ahead:
        return K1
    if not ahead:
        return min(behind)
    if not behind:
        return max(ahead)
    s_p, s_f = min(behind), max(ahead)
    if s_p < K3:
        return s_p
    if s_p >= K4:
        return s_f
    if s_f <= K1:
        return s_p
    closer_to_past = (s_p - K3) / (K4 - K3) < (K2 - s_f) / (K2 - K1)
    return s_p if closer_to_past else s_f


def penalty(p: float, s: float, zones: Zones) -> float:
    """L(p, s), equations (1) to (6)."""
    K1, K2, K3, K4 = zones
    if s <= K1:
        return -math.log(1 - p)
    if s <= K2:
        return -math.log(1 - (K2 - s) / (K2 - K1) * p)
    if s < 0:
        return 0.0
    if s < K3:
        return -math.log(s / K3 + (K3 - s) / K3 * p)
    if s < K4:
        return -math.log(1 - (s - K3) / (K4 - K3) * p)
    return -math.log(1 - p)


def penalty_with_margin(p: float, s: float, zones: Zones, tau_max: float, tau_min: float) -> float:
    """The revised penalty, equations (7) and (8)."""
    if 0 <= s < zones[2]:
        return max(0.0, penalty(p, s, zones) + math.log(tau_max))
    return max(0.0, penalty(p, s, zones) + math.log(1 - tau_min))


def segmentation_loss(
    scores: Sequence[Sequence[float]],
    shifts: Sequence[Sequence[float]],
    zones: Sequence[Zones],
    tau_max: float,
    tau_min: float,
    counts: Callable[[int], bool] = lambda frame: True,
) -> float:
    """Equation (9) for one chunk; rows are frames, columns classes. Frames that do not count cost nothing."""
    N_F, C = len(scores), len(zones)
    total = 0.0
    for i in range(N_F):
        for c in range(C):
            if counts(i):
                total += penalty_with_margin(scores[i][c], shifts[i][c], zones[c], tau_max, tau_min)
    return total / (C * N_F)


def match(actions: Sequence[float], predicted: Sequence[float]) -> dict[int, int]:
    """Algorithm 1: index of the prediction of every action. Ties go to the first index."""
    Y, Y_hat = list(range(len(actions))), list(range(len(predicted)))
    couples: dict[int, int] = {}

    def gap(y: int, y_hat: int) -> float:
        return abs(actions[y] - predicted[y_hat])

    while Y:
        f = {y: min(Y_hat, key=lambda y_hat: gap(y, y_hat)) for y in Y}
        for y_hat in list(Y_hat):
            pointing = [y for y in f if f[y] == y_hat]
            if len(pointing) >= 1:
                chosen = min(pointing, key=lambda y: gap(y, y_hat))
                couples[chosen] = y_hat
                Y.remove(chosen)
                Y_hat.remove(y_hat)
    return couples


def spotting_loss(
    Y: Sequence[Sequence[float]], Y_hat: Sequence[Sequence[float]], alpha2: float, beta: float
) -> float:
    """Equation (10) for one chunk; rows are action vectors, Y has no padding."""
    couples = match([row[1] for row in Y], [row[1] for row in Y_hat])
    total = 0.0
    for i, row in enumerate(Y):
        matched = Y_hat[couples[i]]
        for j in range(len(row)):
            alpha = alpha2 if j == 1 else 1.0
            total += alpha * (row[j] - matched[j]) ** 2
    for index, row in enumerate(Y_hat):
        if index not in couples.values():
            total += beta * row[0] ** 2
    return total


def suppress(detections: Sequence[Detection], window_frames: int) -> list[Detection]:
    """Greedy suppression, one spot at a time: frames m - w/2 (truncated) to m + w/2 - 1 are cleared."""
    left, kept = sorted(detections), []
    while left:
        best = max(left, key=lambda row: row[3])  # the first of equals, as argmax
        kept.append(best)
        first = int(max(best[1] - window_frames / 2, 0))
        stop = best[1] + int(window_frames / 2)

        def cleared(row: Detection) -> bool:
            same_place = row[0] == best[0] and row[2] == best[2]  # noqa: B023 (called at once)
            return same_place and first <= row[1] < stop  # noqa: B023 (called at once)

        # Windows of one frame do not hold their own middle: there the published code never ends.
        left = [row for row in left if row is not best and not cleared(row)]
    return sorted(kept)


def matched(
    detections: Sequence[Detection], actions: Sequence[Action], tolerance_frames: float
) -> set[Detection]:
    """Detections that actions take: in the order of time each the most confident free one in reach."""
    taken: set[Detection] = set()
    for half, frame, class_index in sorted(actions):
        best = None
        for row in sorted(detections):
            in_reach = (
                row[0] == half and row[2] == class_index and abs(row[1] - frame) <= tolerance_frames / 2
            )
            if in_reach and row not in taken and (best is None or row[3] > best[3]):
                best = row
        if best is not None:
            taken.add(best)
    return taken


def action_of(detection: Detection, actions: Sequence[Action]) -> Action | None:
    """The action that a detection belongs to: the last whose part of the half has begun at its frame."""
    half, frame, class_index, _ = detection
    mine = sorted(row for row in actions if row[0] == half and row[2] == class_index)
    owner = None
    for index, row in enumerate(mine):
        begins = 0 if index == 0 else (mine[index - 1][1] + row[1]) // 2
        if begins <= frame:
            owner = row
    return owner


def share_average_precision(
    detections: Sequence[Detection],
    actions: Sequence[Action],
    share: Callable[[Action | None], bool],
    tolerance_frames: float,
) -> float:
    """AP of one class for a share of its actions, and of the detections that belong to them.

    Matched once, on all actions and detections. ``share(None)`` tells whether detections without an action
    in their half are of the share.
    """
    taken = matched(detections, actions, tolerance_frames)
    mine = [row for row in detections if share(action_of(row, actions))]
    number = len([row for row in actions if share(row)])
    points = []
    for threshold in THRESHOLDS:
        confident = [row for row in mine if row[3] >= threshold]
        correct = len([row for row in confident if row in taken])
        points.append((correct / number if number else 0.0, correct / len(confident) if confident else 0.0))
    return interpolated(points)


def average_precision(
    detections: Sequence[Detection], actions: Sequence[Action], tolerance_frames: float
) -> float:
    """11-point interpolated average precision of one class, matched again at each of 200 thresholds."""
    if not actions:
        return 0.0
    points = []
    for threshold in THRESHOLDS:
        confident = [row for row in detections if row[3] >= threshold]
        correct = len(matched(confident, actions, tolerance_frames))
        precision = correct / len(confident) if confident else 0.0
        points.append((correct / len(actions), precision))
    return interpolated(points)


def interpolated(points: Sequence[tuple[float, float]]) -> float:
    """Mean over eleven levels of recall of the best precision at that recall or more."""
    total = 0.0
    for level in range(11):
        total += max((precision for recall, precision in points if recall >= level / 10), default=0.0)
    return total / 11


def average_map(
    detections: Sequence[Detection],
    actions: Sequence[Action],
    *,
    classes: int,
    tolerances_frames: Sequence[float],
    windows_frames: Sequence[int],
) -> float:
    """Section 4.1: area under the mAP over the tolerances, divided by their range."""
    values = []
    for tolerance, window in zip(tolerances_frames, windows_frames, strict=True):
        kept = suppress(detections, window)
        per_class = []
        for c in range(classes):
            mine = [row for row in kept if row[2] == c]
            per_class.append(average_precision(mine, [row for row in actions if row[2] == c], tolerance))
        values.append(sum(per_class) / classes)
    if len(values) == 1:
        return values[0]
    area = 0.0
    for k in range(len(values) - 1):
        area += (values[k] + values[k + 1]) / 2
    return area / (len(values) - 1)


def chunk_starts(frames: int, chunk_frames: int, edge_frames: int) -> list[int]:
    """Chunks overlap by r until one reaches the end of the half; that one ends with the half."""
    starts = [0]
    while starts[-1] + chunk_frames < frames:
        starts.append(min(starts[-1] + chunk_frames - 2 * edge_frames, frames - chunk_frames))
    return starts


def owner(frame: int, starts: Sequence[int], edge_frames: int) -> int:
    """The chunk that speaks for a frame: the last that has r/2 frames before it; else the first."""
    able = [index for index, start in enumerate(starts) if start + edge_frames <= frame]
    return able[-1] if able else 0


def stitch(
    halves: Sequence[int],
    predictions: Sequence[Sequence[Sequence[float]]],
    chunk_frames: int,
    edge_frames: int,
) -> list[Detection]:
    """Spots of halves from the predictions of their chunks, looked up frame by frame."""
    best: dict[tuple[int, int, int], float] = {}
    chunk = 0
    for half, frames in enumerate(halves):
        starts = chunk_starts(frames, chunk_frames, edge_frames)
        for index, start in enumerate(starts):
            for confidence, location, *scores in predictions[chunk]:
                place = min(round(float(np.float32(location) * np.float32(chunk_frames))), chunk_frames - 1)
                frame, class_index = start + place, scores.index(max(scores))
                if frame < frames and owner(frame, starts, edge_frames) == index:
                    cell = (half, frame, class_index)
                    best[cell] = max(best.get(cell, 0.0), confidence)
            chunk += 1
    return sorted((*cell, confidence) for cell, confidence in best.items())
