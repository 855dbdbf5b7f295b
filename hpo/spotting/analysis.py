"""Analysis of a trained network on a split of its data."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from hpo.spotting.figures.timeline import GameTimeline
from hpo.tasks.base.splits import Progress
from model.data.stores.store import Store
from model.inference.evaluation import find_segmentation, find_spots
from model.losses.complete import LossConfig
from model.metrics.average_map import LOOSE_TOLERANCES_S, average_map
from model.metrics.breakdowns import (
    GroupScore,
    average_map_by_group,
    break_actions,
    by_game_time,
    by_vicinity,
    game_time_edges,
    vicinity_edges,
)
from model.metrics.calibration import Calibration, calibration, offsets_frames
from model.metrics.matching import Matching
from model.metrics.thresholded import ClassResults, confusion, threshold_counts
from model.spots import Spots, suppress
from model.weights.trained import TrainedNetwork


@dataclass(frozen=True, slots=True, kw_only=True)
class Scores:
    """Average-mAP of a split and of subsets of its actions."""

    average_map: float
    """Mean over all classes; a class without actions counts 0."""
    average_map_present: float
    """Mean over the classes that have actions."""
    average_map_without_break: float
    """Average-mAP without the actions on the first frame of a second half (section 4.1)."""
    present: tuple[bool, ...]
    """True for every class that has actions."""
    actions: int
    break_actions: int
    halves: int
    """Number of halves of a game; 1 if every game has one part."""
    game_time: Sequence[GroupScore]
    vicinity: Sequence[GroupScore]
    vicinity_edges_s: Sequence[float]
    """Edges of the bins of ``vicinity``, in seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pairs:
    """Spots and actions paired within one tolerance."""

    tolerance_s: float
    """Full width of the tolerance, in seconds."""
    confusion: npt.NDArray[np.int64]
    """Confusion of the spots whose confidence is above the threshold of their class."""
    calibration: Calibration
    offset_class: npt.NDArray[np.int64]
    offset_s: npt.NDArray[np.float64]
    """Seconds from action to spot, for every correct spot."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Analysis:
    """Results of a network on a split."""

    split: str
    games: int
    classes: tuple[str, ...]
    scores: Scores
    results: ClassResults
    pairs: Pairs
    timeline: GameTimeline
    loss: LossConfig | None
    """The network's zones with the paper's margins; None if its file contains no zones."""
    nms_window_s: float | None
    """Width of the suppression in seconds; None: the width of each tolerance."""

    @property
    def scoring(self) -> str:
        """Tolerances and suppression in words where they differ from the paper's; empty if they do not."""
        tolerances_s, parts = self.results.tolerances_s, []
        if tolerances_s != LOOSE_TOLERANCES_S:
            parts.append(f"tolerances of {tolerances_s[0]:g} to {tolerances_s[-1]:g} s")
        if self.nms_window_s is not None:
            parts.append(f"suppression {self.nms_window_s:g} s wide")
        return ", ".join(parts)


def analyse(
    trained: TrainedNetwork,
    store: Store,
    valid: Store,
    *,
    game: str | None,
    nms_window_s: float | None,
    tolerances_s: Sequence[float],
    device: torch.device,
    progress: Progress,
) -> Analysis:
    """Spot the actions of a split and analyse the result.

    Args:
        trained: The network.
        store: The split.
        valid: The validation split, on which thresholds are chosen.
        game: Game of the timeline. None: the game with the most actions.
        nms_window_s: Width of the suppression window in seconds. None: the tolerance, as in ``average_map``.
        tolerances_s: Tolerances in seconds, as full widths. The widest is that of confusion, calibration,
            offsets and timeline.
        device: Device to compute on.
        progress: Reports which network is at work.
    """
    shown = store.one_game(game or busiest_game(store))
    spots, valid_spots = _spotted(trained, (store, valid), device, progress)
    options: dict[str, Any] = {
        "classes": len(store.classes),
        "frame_rate": store.frame_rate,
        "nms_window_s": nms_window_s,
        "tolerances_s": tolerances_s,
    }
    best = threshold_counts(valid_spots, valid.actions, **options).best_f1()
    results = threshold_counts(spots, store.actions, **options).at(best)
    window_s = tolerances_s[-1] if nms_window_s is None else nms_window_s
    kept = suppress(spots, store.frame_rate.to_frames(window_s))
    sure = kept[kept.score >= results.threshold[-1, kept.class_index]]
    return Analysis(
        split=store.split,
        games=len(store.games),
        classes=store.classes,
        scores=_scores(spots, store, options),
        results=results,
        pairs=_pairs(kept, sure, store, tolerances_s[-1]),
        timeline=timeline(trained, shown, _of_game(sure, store, shown.games[0]), device),
        loss=None if trained.zones is None else LossConfig(zones=trained.zones),
        nms_window_s=nms_window_s,
    )


def _spotted(
    trained: TrainedNetwork, stores: tuple[Store, Store], device: torch.device, progress: Progress
) -> list[Spots]:
    """Return the spots of both splits; if they are the same split, it is processed once."""
    network, found = trained.network.to(device), dict[str, Spots]()
    for number, store in enumerate(stores):
        progress("spotting actions", number, len(stores))
        if store.digest not in found:
            found[store.digest] = find_spots(network, store, precision="float32", device=device)
    return [found[store.digest] for store in stores]


def _scores(spots: Spots, store: Store, options: dict[str, Any]) -> Scores:
    numbers, actions = np.array([half.number for half in store.halves]), store.actions
    in_break = break_actions(actions, numbers)
    halves = int(numbers.max())
    edges_s = vicinity_edges(actions, store.frame_rate)
    time, vicinity = by_game_time(numbers, store.frame_rate), by_vicinity(store.frame_rate, edges_s)
    whole = average_map(spots, actions, **options)
    return Scores(
        average_map=whole.average_map,
        average_map_present=whole.average_map_present,
        present=tuple(whole.present.tolist()),
        average_map_without_break=average_map(spots, actions[~in_break], **options).average_map,
        actions=len(actions),
        break_actions=int(in_break.sum()),
        halves=halves,
        game_time=average_map_by_group(
            spots, actions, time, groups=halves * (len(game_time_edges(halves)) - 1), **options
        ),
        vicinity=average_map_by_group(spots, actions, vicinity, groups=len(edges_s) - 1, **options),
        vicinity_edges_s=edges_s,
    )


def _pairs(kept: Spots, sure: Spots, store: Store, tolerance_s: float) -> Pairs:
    width_frames, classes = tolerance_s * store.frame_rate.per_second, len(store.classes)
    matching = Matching(kept, store.actions)
    offset_class, offset_frames = offsets_frames(matching, width_frames)
    return Pairs(
        tolerance_s=tolerance_s,
        confusion=confusion(sure, store.actions, classes=classes, tolerance_frames=width_frames),
        calibration=calibration(matching, classes=classes, tolerance_frames=width_frames),
        offset_class=offset_class,
        offset_s=offset_frames / store.frame_rate.per_second,
    )


def busiest_game(store: Store) -> str:
    """Return the game with the most actions, or the first of several such games."""
    actions = Counter(store.halves[half].game for half in store.actions[:, 0])
    return max(store.games, key=actions.__getitem__)


def timeline(trained: TrainedNetwork, shown: Store, spots: Spots, device: torch.device) -> GameTimeline:
    """Return the timeline of the only game in ``shown``, with ``spots`` numbered by its halves."""
    (game,) = shown.games
    segmentation = find_segmentation(trained.network, shown, precision="float32", device=device)
    return GameTimeline(
        game=game,
        classes=shown.classes,
        frame_rate=shown.frame_rate,
        segmentation=trained.upright(segmentation),
        actions=shown.actions,
        spots=spots,
        numbers=[half.number for half in shown.halves],
    )


def _of_game(spots: Spots, store: Store, game: str) -> Spots:
    """Return the rows of one game of ``store``, with its halves counted from 0."""
    places = [index for index, half in enumerate(store.halves) if half.game == game]
    mine = spots[np.isin(spots.half, places)]
    return Spots(mine.half - places[0], mine.frame, mine.class_index, mine.score)
