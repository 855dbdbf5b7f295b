"""Analysing a trained network on a split of its data."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from hpo.config.environment import Environment
from hpo.journal.journal import read_journal
from hpo.journal.results import StudyState
from hpo.report.analysis import Analysis, Pairs, Scores
from hpo.report.figures.timeline import GameTimeline
from hpo.study.folders import chosen_study, known_studies
from hpo.study.runner import trial_folder
from hpo.study.session import plan_of
from hpo.study.spotting import spotting_study
from hpo.tasks.base.splits import Progress
from hpo.tracking.runs import recorded_trial
from hpo.trial.run import BEST
from model.data.store import Store
from model.errors import UserError
from model.inference.evaluation import find_segmentation, find_spots
from model.losses.complete import LossConfig
from model.metrics.average_map import LOOSE_TOLERANCES_S, average_map
from model.metrics.breakdowns import (
    GAME_TIME_EDGES_S,
    VICINITY_EDGES_S,
    average_map_by_group,
    break_actions,
    by_game_time,
    by_vicinity,
)
from model.metrics.calibration import calibration, offsets_frames
from model.metrics.matching import Matching
from model.metrics.thresholded import confusion, threshold_counts
from model.spots import Spots, suppress
from model.weights.trained import TrainedNetwork

TOLERANCE_S = LOOSE_TOLERANCES_S[-1]
"""Full width for confusion, calibration, offsets and the timeline: the widest one that the score knows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedTrial:
    """Where a trial that a person named has its network and its data."""

    name: str
    """``STUDY/TRIAL``."""
    label: str
    """Its role in its stage, name and Average-mAP on the validation split."""
    weights: Path
    data: str
    features: str


def find_trial(name: str, split: str, environment: Environment) -> NamedTrial:
    """The trial that ``name`` means: ``STUDY/TRIAL``, or the id of its MLflow run.

    Raises:
        UserError: There is none, it has no network yet, or its test split is still closed.
    """
    if "/" not in name:
        tags = recorded_trial(environment, name).tags
        name = f"{tags['hpo.study']}/{tags['hpo.trial']}"
    study, _, trial_name = name.partition("/")
    folder = chosen_study(environment, study)
    state = StudyState.replay(read_journal(folder).events)
    if trial_name not in state.trials:
        raise UserError(
            f"study {study!r} has no trial {trial_name!r}", known=", ".join(state.trials) or "none yet"
        )
    plan = plan_of(folder, state.created)
    spotting_study(plan)
    if split == "test" and state.trials[trial_name].tested is None:
        raise UserError(
            f"the test split is closed for trial {name}: hpo run final opens it, for its trials only",
            fix="use --split valid",
        )
    weights = trial_folder(folder, trial_name) / BEST
    if not weights.is_file():
        raise UserError(f"trial {name} has no {BEST} yet", file=weights)
    trial = state.trials[trial_name]
    role = f"{trial.role} " if trial.role else ""
    label = f"{role}({folder.name}/{trial_name}, {trial.score or 0.0:.3f} on validation)"
    return NamedTrial(
        name=f"{folder.name}/{trial_name}",
        label=label,
        weights=weights,
        data=plan.data,
        features=plan.features,
    )


def trials_of_stage(name: str, environment: Environment) -> list[str]:
    """What ``STUDY/STAGE`` means: of every configuration with a score its first trial, as ``STUDY/TRIAL``.

    Any other name means itself.
    """
    study, _, stage = name.partition("/")
    if not stage or study not in known_studies(environment):
        return [name]
    state = StudyState.replay(read_journal(chosen_study(environment, study)).events)
    if stage not in state.stages:
        return [name]
    first: dict[str, str] = {}
    for trial in state.trials_of(stage):
        if trial.score is not None:
            first.setdefault(trial.role or trial.trial, f"{study}/{trial.trial}")
    return list(first.values())


def analyse(
    trained: TrainedNetwork,
    store: Store,
    valid: Store,
    *,
    game: str | None,
    nms_window_s: float | None,
    device: torch.device,
    progress: Progress,
) -> Analysis:
    """Spot a split and take the result apart.

    Args:
        trained: The network.
        store: The split.
        valid: The validation split, on which thresholds are chosen.
        game: Game of the timeline; None takes the one with most actions.
        nms_window_s: As in ``average_map``.
        device: Where to compute.
        progress: Hears of what is spotted.
    """
    trained.check_fits(store)
    shown = store.one_game(game or liveliest(store))
    spots, valid_spots = _spotted(trained, (store, valid), device, progress)
    options: dict[str, Any] = {
        "classes": len(store.classes),
        "frame_rate": store.frame_rate,
        "nms_window_s": nms_window_s,
    }
    best = threshold_counts(valid_spots, valid.actions, **options).best_f1()
    results = threshold_counts(spots, store.actions, **options).at(best)
    window_s = TOLERANCE_S if nms_window_s is None else nms_window_s
    kept = suppress(spots, store.frame_rate.to_frames(window_s))
    sure = kept[kept.score >= results.threshold[-1, kept.class_index]]
    return Analysis(
        split=store.split,
        games=len(store.games),
        classes=store.classes,
        scores=_scores(spots, store, options),
        results=results,
        pairs=_pairs(kept, sure, store),
        timeline=timeline(trained, shown, _of_game(sure, store, shown.games[0]), device),
        loss=None if trained.zones is None else LossConfig(zones=trained.zones),
    )


def _spotted(
    trained: TrainedNetwork, stores: tuple[Store, Store], device: torch.device, progress: Progress
) -> list[Spots]:
    """Spots of both splits; found once where both are the same."""
    network, found = trained.network.to(device), dict[str, Spots]()
    for number, store in enumerate(stores):
        progress("spotting actions", number, len(stores))
        if store.digest not in found:
            found[store.digest] = find_spots(network, store, precision="float32", device=device)
    return [found[store.digest] for store in stores]


def _scores(spots: Spots, store: Store, options: dict[str, Any]) -> Scores:
    numbers, actions = np.array([half.number for half in store.halves]), store.actions
    in_break = break_actions(actions, numbers)
    time, vicinity = by_game_time(numbers, store.frame_rate), by_vicinity(store.frame_rate)
    return Scores(
        average_map=average_map(spots, actions, **options).average_map,
        average_map_without_break=average_map(spots, actions[~in_break], **options).average_map,
        actions=len(actions),
        break_actions=int(in_break.sum()),
        game_time=average_map_by_group(
            spots, actions, time, groups=2 * (len(GAME_TIME_EDGES_S) - 1), **options
        ),
        vicinity=average_map_by_group(spots, actions, vicinity, groups=len(VICINITY_EDGES_S) - 1, **options),
    )


def _pairs(kept: Spots, sure: Spots, store: Store) -> Pairs:
    width_frames, classes = TOLERANCE_S * store.frame_rate.per_second, len(store.classes)
    matching = Matching(kept, store.actions)
    offset_class, offset_frames = offsets_frames(matching, width_frames)
    return Pairs(
        tolerance_s=TOLERANCE_S,
        confusion=confusion(sure, store.actions, classes=classes, tolerance_frames=width_frames),
        calibration=calibration(matching, classes=classes, tolerance_frames=width_frames),
        offset_class=offset_class,
        offset_s=offset_frames / store.frame_rate.per_second,
    )


def liveliest(store: Store) -> str:
    """The game with most actions, of equals the first."""
    games = [store.halves[half].game for half in store.actions[:, 0]]
    return max(store.games, key=games.count)


def timeline(trained: TrainedNetwork, shown: Store, spots: Spots, device: torch.device) -> GameTimeline:
    """The one game of ``shown`` with its spots, whose halves are counted within the game."""
    (game,) = shown.games
    segmentation = find_segmentation(trained.network, shown, precision="float32", device=device)
    return GameTimeline(
        game=game,
        classes=shown.classes,
        frame_rate=shown.frame_rate,
        segmentation=trained.upright(segmentation),
        actions=shown.actions,
        spots=spots,
    )


def _of_game(spots: Spots, store: Store, game: str) -> Spots:
    """Those of one game of ``store``, its halves counted from 0."""
    places = [index for index, half in enumerate(store.halves) if half.game == game]
    mine = spots[np.isin(spots.half, places)]
    return Spots(mine.half - places[0], mine.frame, mine.class_index, mine.score)
