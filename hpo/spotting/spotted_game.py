"""Prediction of the spots of one game."""

from dataclasses import dataclass
from pathlib import Path

import torch

from model.data.single_game import open_game
from model.data.store import Store
from model.inference.evaluation import find_spots
from model.spots import Spots, suppress
from model.weights.trained import TrainedNetwork


@dataclass(frozen=True, slots=True, kw_only=True)
class SpottedGame:
    """Spots that a network predicts for one game."""

    game: str
    """Name of the game, ``<league>/<season>/<game>``."""
    store: Store
    spots: Spots
    """Spots after suppression."""


def spot_game(
    trained: TrainedNetwork, folder: Path, *, stem: str | None, nms_window_s: float, device: torch.device
) -> SpottedGame:
    """Predict the spots of the game in ``folder``; the network is moved to ``device``.

    Args:
        trained: The network.
        folder: ``<league>/<season>/<game>`` with the features of both halves.
        stem: Stem of the feature files. None: those that fit the network.
        nms_window_s: Width of the suppression window in seconds; only the most confident spot in it is kept.
        device: Device to compute on.

    Raises:
        DataError: The game has no features that fit the network.
    """
    network = trained.network.to(device)
    store = open_game(
        folder,
        dims=network.config.input_size,
        classes=trained.classes,
        frame_rate=trained.frame_rate,
        stem=stem,
    )
    spots = find_spots(network, store, precision="float32", device=device)
    return SpottedGame(
        game="/".join(folder.resolve().parts[-3:]),
        store=store,
        spots=suppress(spots, trained.frame_rate.to_frames(nms_window_s)),
    )
