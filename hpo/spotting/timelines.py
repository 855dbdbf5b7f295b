"""Predictions of several networks for one game, such as those of a sweep over lambda_seg (figure 14)."""

import re
from collections.abc import Sequence
from pathlib import Path

import torch

from hpo.report.figures.style import save_figure
from hpo.spotting.analysis import busiest_game, timeline
from hpo.spotting.figures.timeline import GameTimeline, networks_figure
from hpo.spotting.trials import NamedTrial
from hpo.tasks.base.splits import Progress
from model.data.stores.store import Store
from model.errors import ConfigError
from model.inference.evaluation import find_spots
from model.spots import suppress
from model.weights.trained import TrainedNetwork

SURE = 0.5
"""Smallest confidence of the spots that are drawn, for all networks."""


def game_timelines(
    trials: Sequence[NamedTrial],
    store: Store,
    *,
    game: str | None,
    nms_window_s: float | None,
    device: torch.device,
    progress: Progress,
) -> dict[str, GameTimeline]:
    """Predict the spots of one game with every network.

    Args:
        trials: Trials on the same data.
        store: The split with the game.
        game: Name of the game. None: the game with the most actions.
        nms_window_s: Width of the suppression in seconds. None: the widest tolerance
            of the study of each network.
        device: Device to compute on.
        progress: Reports which network is at work.

    Raises:
        ConfigError: The trials were trained on different data.
    """
    if len({(trial.data, trial.features) for trial in trials}) > 1:
        raise ConfigError(
            "the trials were trained on different data or features, so they cannot be drawn together"
        )
    shown = store.one_game(game or busiest_game(store))
    found: dict[str, GameTimeline] = {}
    for number, trial in enumerate(trials):
        progress("spotting actions", number, len(trials))
        trained = TrainedNetwork.load(trial.weights)
        trained.check_fits(store)
        trained.network.to(device)
        spots = find_spots(trained.network, shown, precision="float32", device=device)
        window_s = trained.tolerances_s[-1] if nms_window_s is None else nms_window_s
        kept = suppress(spots, store.frame_rate.to_frames(window_s))
        found[trial.label] = timeline(trained, shown, kept[kept.score >= SURE], device)
    return found


def write_timelines(timelines: dict[str, GameTimeline], folder: Path) -> list[Path]:
    """Write one PNG and one SVG file per class."""
    classes = next(iter(timelines.values())).classes
    return [
        file
        for index, name in enumerate(classes)
        for file in save_figure(
            networks_figure(timelines, index), folder, f"networks-{re.sub(r'[^0-9A-Za-z]+', '-', name)}"
        )
    ]
