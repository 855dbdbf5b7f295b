"""What only studies of action spotting have: games that can be spotted and analysed."""

from dataclasses import dataclass
from pathlib import Path

import torch

from hpo.study.plan import StudyPlan
from hpo.tasks.calf.settings import GamesShape, training_config
from hpo.tasks.calf.study_file import CalfStudy
from model.data.single_game import open_game
from model.data.store import Store
from model.errors import UserError
from model.inference.evaluation import find_spots
from model.spots import Spots, suppress
from model.training.config import TrainingConfig
from model.weights.trained import TrainedNetwork


@dataclass(frozen=True, slots=True, kw_only=True)
class SpottedGame:
    """One game and what a network spots in it."""

    game: str
    """``<league>/<season>/<game>``."""
    store: Store
    spots: Spots
    """After suppression."""


def spot_game(
    trained: TrainedNetwork, folder: Path, *, stem: str | None, nms_window_s: float, device: torch.device
) -> SpottedGame:
    """Spot the actions of the game in ``folder``; the network moves to ``device``.

    Args:
        trained: The network.
        folder: ``<league>/<season>/<game>`` with the features of both halves.
        stem: Of the files of features; None takes those that fit the network.
        nms_window_s: Of several spots so close the most confident stays.
        device: Where to compute.

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


def spotting_study(plan: StudyPlan) -> CalfStudy:
    """The study file of a study that spots actions.

    Raises:
        UserError: The study is of another task.
    """
    if not isinstance(plan.study, CalfStudy):
        raise UserError(f"expected a study of action spotting (task calf), this one is of {plan.study.task}")
    return plan.study


def spotting_training(plan: StudyPlan) -> TrainingConfig:
    """How its trials are trained and scored.

    Raises:
        UserError: The study is of another task.
    """
    study, shape = spotting_study(plan), plan.shape
    assert isinstance(shape, GamesShape)
    return training_config(study, shape, precision=plan.precision)
