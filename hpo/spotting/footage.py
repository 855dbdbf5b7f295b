"""Predictions of a network for one game, and the clips that are worth showing."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from hpo.spotting.cut_lists import Highlights
from hpo.spotting.spotted_game import FeatureChoice, spot_game
from model.data.labels.label_file import read_actions
from model.data.layout.description import read_description
from model.data.single_game import GameFolder, soccernet_root
from model.data.stores.store import Store
from model.errors import ConfigError
from model.inference.clips import (
    Clip,
    Moment,
    cut_clips,
    high_sequences,
    spotted_moments,
    without_actions,
)
from model.inference.evaluation import find_segmentation, find_spots
from model.metrics.thresholded import threshold_counts
from model.spots import Spots
from model.timeline import FrameRate
from model.weights.trained import TrainedNetwork


@dataclass(frozen=True, slots=True, kw_only=True)
class GamePredictions:
    """Predictions of a network for one game."""

    game: str
    """Name of the game, ``<league>/<season>/<game>``."""
    classes: tuple[str, ...]
    frame_rate: FrameRate
    edge_frames: int
    """Number of frames (r/2) at both ends of a half in which segmentation scores are invalid."""
    lengths_s: tuple[float, ...]
    """Duration of each half, in seconds; 0 for a half that the game lacks."""
    spots: Spots
    """Spots after suppression."""
    segmentation: tuple[npt.NDArray[np.float32], ...]
    """Segmentation scores (frames, classes) of every half, high just after an action; empty for one that the
    game lacks."""


def chosen_classes(
    choices: Mapping[str, tuple[str | None, Sequence[str]]], classes: Sequence[str]
) -> dict[str, list[int]]:
    """Return the indices of the classes that each option of the command line selects.

    Args:
        choices: Option -> the names that were typed (NAME,...) and the last words of classes that are its
            default, such as ``yellow-card`` but not ``goal-kick`` for ``card`` and ``goal``.
        classes: Classes of the network.

    Raises:
        ConfigError: The network lacks a class that was typed, or no class is the default of an option.
    """
    chosen = {
        option: _ending_in(words, classes) if names is None else _named(names, classes, option)
        for option, (names, words) in choices.items()
    }
    if lacking := [option for option, indices in chosen.items() if not indices]:
        words = dict.fromkeys(word for option in lacking for word in choices[option][1])
        options = " and ".join(f"{option} NAME,..." for option in lacking)
        raise ConfigError(
            f"no class of the network has a name that ends in {' or '.join(words)}",
            classes=", ".join(classes),
            fix=f"add {options} with the classes of a highlight",
        )
    return chosen


def _ending_in(words: Sequence[str], classes: Sequence[str]) -> list[int]:
    last = [re.split(r"[^a-z0-9]+", name.casefold())[-1] for name in classes]
    return [index for index, word in enumerate(last) if word in words]


def _named(names: str, classes: Sequence[str], option: str) -> list[int]:
    given = [name.strip() for name in names.split(",")]
    if unknown := [name for name in given if name not in classes]:
        raise ConfigError(
            f"{option}: the network has no class {', '.join(map(repr, unknown))}", classes=", ".join(classes)
        )
    return [index for index, name in enumerate(classes) if name in given]


def predict_game(
    trained: TrainedNetwork, game: GameFolder, features: FeatureChoice, *, device: torch.device
) -> GamePredictions:
    """Predict the spots and segmentation scores of one game.

    Raises:
        DataError: The game has no features that fit the network.
    """
    spotted = spot_game(trained, game, features, device=device)
    scores = trained.upright(
        find_segmentation(trained.network, spotted.store, precision="float32", device=device)
    )
    by_number = dict(zip((half.number for half in spotted.store.halves), scores, strict=True))
    nothing = np.empty((0, len(trained.classes)), dtype=np.float32)
    segmentation = tuple(by_number.get(number, nothing) for number in range(1, max(by_number) + 1))
    return GamePredictions(
        game=spotted.game,
        classes=trained.classes,
        frame_rate=trained.frame_rate,
        edge_frames=trained.network.config.edge_frames,
        lengths_s=tuple(trained.frame_rate.to_seconds(len(rows)) for rows in segmentation),
        spots=spotted.numbered,
        segmentation=segmentation,
    )


def best_confidences(trained: TrainedNetwork, valid: Store, device: torch.device) -> list[float]:
    """Return, for every class, the confidence threshold with the best F1 on the validation split.

    Spots are paired at the widest tolerance, as in ``hpo analyse``. The threshold is 1 for a class without a
    correct spot, so that none of its spots is shown but those with a confidence of exactly 1.
    """
    counts = threshold_counts(
        find_spots(trained.network.to(device), valid, precision="float32", device=device),
        valid.actions,
        classes=len(valid.classes),
        frame_rate=valid.frame_rate,
        nms_window_s=trained.spots_window_s,
        tolerances_s=trained.tolerances_s[-1:],
    )
    confidences: list[float] = counts.at(counts.best_f1()).threshold[0].tolist()
    return confidences


def highlights(
    predictions: GamePredictions,
    *,
    confidences: Mapping[int, float],
    sequence_classes: Sequence[int],
    threshold: float,
    before_s: float,
    after_s: float,
) -> Highlights:
    """Cut clips around spots and around sequences of high segmentation scores (section 5).

    Args:
        predictions: Predictions for the game.
        confidences: Smallest confidence of a spot, for every class whose spots are shown.
        sequence_classes: Classes whose segmentation scores are used.
        threshold: Smallest score of their sequences.
        before_s: Seconds that a clip shows before a moment.
        after_s: Seconds that a clip shows after a moment.
    """
    moments = [
        *spotted_moments(predictions.spots, confidences, predictions.frame_rate),
        *_sequences(predictions, sequence_classes, threshold),
    ]
    settings = {
        "confidence": {predictions.classes[index]: value for index, value in confidences.items()},
        "sequences": [predictions.classes[index] for index in sequence_classes],
        "threshold": threshold,
        "before_s": before_s,
        "after_s": after_s,
    }
    clips = cut_clips(moments, predictions.lengths_s, before_s=before_s, after_s=after_s)
    return Highlights(
        game=predictions.game, classes=predictions.classes, clips=tuple(clips), settings=settings
    )


def opportunities(
    trained: TrainedNetwork,
    games: Sequence[GameFolder],
    features: FeatureChoice,
    *,
    device: torch.device,
    classes: Sequence[int],
    threshold: float,
    before_s: float,
    after_s: float,
) -> list[tuple[str, Clip]]:
    """Return (game, clip) for sequences that show no annotated action of ``classes`` (figure 8).

    Sequences whose clips overlap are merged, because reviewers watch them together.

    Raises:
        DataError: Features or labels of a game cannot be used.
        ConfigError: The labels have other classes than the network.
    """
    found = []
    for game in games:
        predictions = predict_game(trained, game, features, device=device)
        annotated = _annotated(game, trained, classes)
        moments = _sequences(predictions, classes, threshold)
        clips = cut_clips(moments, predictions.lengths_s, before_s=before_s, after_s=after_s)
        found += [
            (predictions.game, clip) for clip in without_actions(clips, annotated, predictions.frame_rate)
        ]
    return found


def _annotated(game: GameFolder, trained: TrainedNetwork, classes: Sequence[int]) -> npt.NDArray[np.int64]:
    """Return half (from 0) and frame of the annotated actions of ``classes``, of shape (actions, 2)."""
    description = game.description
    if description is None:
        root = soccernet_root(game.path)
        description = read_description(root)
        if description.unused_labels is not None:
            description = read_description(root, trained.labels)
    if description.classes != trained.classes:
        raise ConfigError(
            f"the labels do not fit the network: expected the classes {', '.join(trained.classes)}, got "
            f"{', '.join(description.classes)}",
            game=game.path,
        )
    actions = [
        (action.half - 1, trained.frame_rate.frame_at(action.time_s))
        for action in read_actions(game.path / description.labels_file, description)
        if action.class_index in classes
    ]
    return np.array(actions, dtype=np.int64).reshape(-1, 2)


def _sequences(predictions: GamePredictions, classes: Sequence[int], threshold: float) -> list[Moment]:
    return high_sequences(
        predictions.segmentation,
        classes,
        least_score=threshold,
        edge_frames=predictions.edge_frames,
        frame_rate=predictions.frame_rate,
    )
