"""Two trained networks on the same games: how far their difference depends on the games."""

from pathlib import Path

import numpy as np
import torch

from hpo.config.environment import Environment
from hpo.report.comparison import GameDifference
from hpo.study.plan import StudyPlan, choose_device, reopen_data
from hpo.study.spotting import spotting_study, spotting_training
from hpo.tasks.base.splits import Progress
from hpo.tasks.calf.data import open_games, open_reference
from model.data.store import Store
from model.errors import UserError
from model.inference.evaluation import find_spots
from model.metrics.resampling import draws_of_games, resampled_average_map
from model.weights.trained import TrainedNetwork

LEAST_GAMES = 5
"""With fewer the draws are too few to tell a spread from."""
DRAWS = 1000
_SEED = 0


def compare_games(
    plan: StudyPlan, weights: tuple[Path, Path], split: str, environment: Environment, progress: Progress
) -> GameDifference:
    """Spot every game of ``split`` with both networks and draw games anew, the same ones for both.

    Args:
        plan: Says which games; those of the split ``test`` are all.
        weights: ``best.pt`` of each trial.
        split: ``valid`` or ``test``.
        environment: Where the cache is.
        progress: Hears of what is read and spotted.

    Raises:
        UserError: The data are gone or changed, weights are missing, or there are too few games.
    """
    spotting_study(plan)
    store = _games(plan, split, environment, progress)
    if len(store.games) < LEAST_GAMES:
        raise UserError(f"{len(store.games)} games are too few to draw from, {LEAST_GAMES} are needed")
    random = np.random.default_rng(_SEED)
    # First all games once: the difference itself.
    once = np.ones((1, len(store.games)), dtype=np.int64)
    draws = np.concatenate([once, draws_of_games(len(store.games), DRAWS, random)])
    scores = []
    for index, file in enumerate(weights):
        progress("spotting actions", index, len(weights))
        scores.append(_drawn_scores(plan, file, store, draws))
    ours, theirs = scores
    low, high = np.quantile((ours - theirs)[1:], [0.025, 0.975])
    return GameDifference(
        games=len(store.games),
        draws=DRAWS,
        scores=(float(ours[0]), float(theirs[0])),
        low=float(low),
        high=float(high),
    )


def _games(plan: StudyPlan, split: str, environment: Environment, progress: Progress) -> Store:
    today = reopen_data(plan, environment, progress)
    if today.data_digest != plan.data_digest:
        raise UserError(f"the data in {plan.data} have changed since")
    if split == "valid":
        return open_reference(today.valid)
    return open_games(
        plan.data, features=plan.features, split=split, cache=environment.cache, progress=progress
    )


def _drawn_scores(plan: StudyPlan, weights: Path, store: Store, draws: np.ndarray) -> np.ndarray:
    device, games = torch.device(choose_device("auto")), list(store.games)
    network = TrainedNetwork.load(weights).network.to(device)
    return resampled_average_map(
        find_spots(network, store, precision=plan.precision, device=device),
        store.actions,
        game_of_half=np.array([games.index(half.game) for half in store.halves]),
        draws=draws,
        classes=len(store.classes),
        frame_rate=store.frame_rate,
        nms_window_s=spotting_training(plan).nms_window_s,
    )
