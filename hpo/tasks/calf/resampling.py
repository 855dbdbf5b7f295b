"""Bootstrap comparison of two trained networks on the same games."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from hpo.tasks.base.networks import NetworkDifference
from hpo.tasks.base.splits import Progress
from model.data.stores.store import Store
from model.errors import UserError
from model.inference.evaluation import find_spots
from model.metrics.resampling import draws_of_games, resampled_average_map
from model.training.config import TrainingConfig
from model.weights.trained import TrainedNetwork

LEAST_GAMES = 5
"""Minimum number of games. With fewer, a bootstrap interval is meaningless."""
DRAWS = 1000
"""Number of bootstrap draws."""
_SEED = 0


def compare_on_games(
    networks: tuple[Path, Path],
    store: Store,
    training: TrainingConfig,
    device: torch.device,
    progress: Progress,
    *,
    only_present: bool = False,
) -> NetworkDifference:
    """Spot actions with both networks and resample the games, with the same draws for both.

    Args:
        networks: File ``best.pt`` of each trial.
        store: Split with the games.
        training: Settings of the study, for its precision and non-maximum suppression.
        device: Device to predict on.
        progress: Called with the number of networks that have been scored.
        only_present: True for the mean over the classes that have actions in a draw, not over all classes.

    Raises:
        UserError: A file of weights is missing, or the split has fewer than ``LEAST_GAMES`` games.
    """
    if len(store.games) < LEAST_GAMES:
        raise UserError(f"resampling needs {LEAST_GAMES} games or more, got {len(store.games)}")
    random = np.random.default_rng(_SEED)
    # The first draw has all games once and gives the difference itself.
    once = np.ones((1, len(store.games)), dtype=np.int64)
    draws = np.concatenate([once, draws_of_games(len(store.games), DRAWS, random)])
    scores = []
    for index, file in enumerate(networks):
        progress("spotting actions", index, len(networks))
        scores.append(_drawn_scores(file, store, draws, training, device, only_present=only_present))
    ours, theirs = scores
    low, high = np.quantile((ours - theirs)[1:], [0.025, 0.975])
    return NetworkDifference(
        items=len(store.games),
        draws=DRAWS,
        scores=(float(ours[0]), float(theirs[0])),
        low=float(low),
        high=float(high),
    )


def _drawn_scores(
    file: Path,
    store: Store,
    draws: npt.NDArray[np.int64],
    training: TrainingConfig,
    device: torch.device,
    *,
    only_present: bool,
) -> npt.NDArray[np.float64]:
    games = list(store.games)
    network = TrainedNetwork.load(file).network.to(device)
    return resampled_average_map(
        find_spots(network, store, precision=training.precision, device=device),
        store.actions,
        game_of_half=np.array([games.index(half.game) for half in store.halves]),
        draws=draws,
        classes=len(store.classes),
        frame_rate=store.frame_rate,
        nms_window_s=training.nms_window_s,
        tolerances_s=training.tolerances_s,
        only_present=only_present,
    )
