"""Prediction of the spots of one game."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from model.data.layout.description import builtin_description
from model.data.single_game import GameFolder, Wanted, open_game
from model.data.stores.store import Store
from model.errors import DataError
from model.inference.evaluation import find_spots
from model.spots import Spots, suppress
from model.weights.trained import TrainedNetwork
from model.wording import counted


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureChoice:
    """Features that a command names for a trained network."""

    name: str | None
    """Alias or stem of the features. None: those that the network was trained on."""
    forced: bool = False
    """Whether features other than those of the training are allowed."""

    def stem(self, trained: TrainedNetwork, game: GameFolder) -> str | None:
        """Return the stem of the features of ``game``; None if nothing names it.

        Raises:
            UserError: The network was trained on other features.
        """
        if self.name is None:
            return trained.stem
        description = game.description or builtin_description("soccernet-v1")
        stem = description.feature_stem(self.name)
        trained.check_stem(stem, forced=self.forced)
        return stem


@dataclass(frozen=True, slots=True, kw_only=True)
class SpottedGame:
    """Spots that a network predicts for one game."""

    game: str
    """Name of the game, such as ``<league>/<season>/<game>``; see ``model.data.single_game``."""
    store: Store
    spots: Spots
    """Spots after suppression; their halves are indices into ``store.halves``."""

    @property
    def numbered(self) -> Spots:
        """Spots whose halves are numbers less one, also where the game lacks a half."""
        numbers = np.array([half.number - 1 for half in self.store.halves])
        spots = self.spots
        return Spots(numbers[spots.half], spots.frame, spots.class_index, spots.score)

    def listed(self, classes: Sequence[str]) -> list[tuple[int, float, str, float]]:
        """Return half, seconds since its start, class and confidence per spot, the most confident first."""
        found, order = self.numbered, self.spots.score.argsort(kind="stable")[::-1]
        return [
            (
                int(found.half[index]) + 1,
                self.store.frame_rate.to_seconds(int(found.frame[index])),
                classes[found.class_index[index]],
                float(found.score[index]),
            )
            for index in order
        ]


def spot_game(
    trained: TrainedNetwork,
    game: GameFolder,
    features: FeatureChoice,
    *,
    nms_window_s: float | None = None,
    device: torch.device,
) -> SpottedGame:
    """Predict the spots of ``game``; the network is moved to ``device``.

    Args:
        trained: The network.
        game: Folder of the game, with the features of its halves.
        features: Features to read.
        nms_window_s: Width of the suppression window in seconds; only the most confident spot in it is kept.
            None: that of the network's study (``TrainedNetwork.spots_window_s``).
        device: Device to compute on.

    Raises:
        DataError: The game has no features that fit the network, or is too short for any spot.
    """
    network = trained.network.to(device)
    wanted = Wanted(
        dims=network.config.input_size,
        classes=trained.classes,
        frame_rate=trained.frame_rate,
        stem=features.stem(trained, game),
    )
    store = open_game(game, wanted)
    if not features.forced:
        trained.check_recipe(store.recipe)
    found = find_spots(network, store, precision="float32", device=device)
    window_s = trained.spots_window_s if nms_window_s is None else nms_window_s
    spots = suppress(found, trained.frame_rate.to_frames(window_s))
    if not len(spots):
        _refuse_short_game(store, network.config.chunk_frames)
    return SpottedGame(game=game.name, store=store, spots=spots)


def _refuse_short_game(store: Store, chunk_frames: int) -> None:
    longest, rate = max(half.frames for half in store.halves), store.frame_rate
    if longest < chunk_frames:
        raise DataError(
            f"no spot found: the game has {counted(longest, 'frame')} ({rate.to_seconds(longest):g} s), "
            f"fewer than the {chunk_frames} frames ({rate.to_seconds(chunk_frames):g} s) that the network "
            "sees at once",
            folder=store.path,
            fix=f"give a game of at least {rate.to_seconds(chunk_frames):g} s",
        )
