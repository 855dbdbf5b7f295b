"""Two trained networks on the same games: how far their difference depends on the games."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from hpo.tasks.base.networks import NetworkDifference
from hpo.tasks.base.splits import Progress
from model.data.store import Store
from model.errors import UserError
from model.inference.evaluation import find_spots
from model.metrics.resampling import draws_of_games, resampled_average_map
from model.training.config import TrainingConfig
from model.weights.trained import TrainedNetwork

LEAST_GAMES = 5
"""With fewer games the draws are too few to show a spread."""
DRAWS = 1000
_SEED = 0


def compare_on_games(
    networks: tuple[Path, Path],
    store: Store,
    training: TrainingConfig,
    device: torch.device,
    progress: Progress,
) -> NetworkDifference:
    """Spot every game of ``store`` with both networks and draw the games anew, the same ones for both.

    Args:
        networks: ``best.pt`` of each trial.
        store: The split.
        training: Says with which precision and suppression the study scored.
        device: Where to compute.
        progress: Reports which network is at work.

    Raises:
        UserError: A file of weights is missing, or the split has fewer than ``LEAST_GAMES`` games.
    """
    if len(store.games) < LEAST_GAMES:
        raise UserError(f"{len(store.games)} games are too few to draw from, {LEAST_GAMES} are needed")
    random = np.random.default_rng(_SEED)
    # First all games once: the difference itself.
    once = np.ones((1, len(store.games)), dtype=np.int64)
    draws = np.concatenate([once, draws_of_games(len(store.games), DRAWS, random)])
    scores = []
    for index, file in enumerate(networks):
        progress("spotting actions", index, len(networks))
        scores.append(_drawn_scores(file, store, draws, training, device))
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
    )
