"""Small splits and trials, for the tests of BMN's training."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch

from model.data.activitynet.split import VideoSplit
from model.data.activitynet.synthetic import FeatureGenerator, make_class_scores, make_videos
from model.losses.boundary import BoundaryLossConfig
from model.networks.bmn import BmnConfig
from model.training.boundary.config import BoundaryTrainingConfig, BoundaryTrialConfig
from model.training.boundary.slot import BoundarySlot
from model.training.boundary.trainer import BoundaryArray
from model.training.outcomes import Validation

CPU = torch.device("cpu")
POSITIONS, DIMS = 20, 16
CLASSES = ("class 000", "class 001", "class 002")


def made_split(subset: str, count: int) -> VideoSplit:
    """Videos whose boundaries leave a clear trace."""
    videos = tuple(make_videos({subset: count}, classes=3, seed=1))
    maker = FeatureGenerator(DIMS, 1, noise=0.3)
    features = np.stack([maker(video, POSITIONS) for video in videos])
    return VideoSplit(videos, features, CLASSES, make_class_scores(videos, CLASSES, seed=1))


TRAIN, VALID = made_split("training", 20), made_split("validation", 10)
SIZES = BmnConfig(input_size=DIMS, positions=POSITIONS, bins=8, hidden_1d=16, hidden_2d=8, hidden_3d=16)
TRIAL = BoundaryTrialConfig(network=SIZES, seed=5, data_seed=3, rate_drop_epochs=2)
OTHER = replace(
    TRIAL,
    seed=6,
    learning_rate=3e-3,
    loss=BoundaryLossConfig(tem_loss="context-aware", k1_positions=-3.0),
)
TRAINING = BoundaryTrainingConfig(epochs=4, validate_every=1, batch_videos=8)


def array_of(
    trials: Sequence[BoundaryTrialConfig],
    training: BoundaryTrainingConfig = TRAINING,
    *,
    train: VideoSplit = TRAIN,
    valid: VideoSplit = VALID,
) -> BoundaryArray:
    array = BoundaryArray(training, train=train, valid=valid, device=CPU)
    array.slots = [BoundarySlot(trial) for trial in trials]
    return array


def run(array: BoundaryArray) -> list[list[Validation]]:
    """Every trial's validations until the end."""
    slots = list(array.slots)
    found: list[list[Validation]] = [[] for _ in slots]
    while array.slots:
        for outcome in array.advance():
            assert isinstance(outcome.result, Validation), outcome.result
            found[slots.index(outcome.slot)].append(outcome.result)
        array.slots = [slot for slot in array.slots if slot.epoch < array.training.epochs]
    return found


def numbers(validations: list[Validation]) -> list[tuple[int, dict[str, float]]]:
    """What a validation says but for the clock."""
    return [
        (entry.epoch, {name: value for name, value in entry.metrics.items() if name != "videos_per_s"})
        for entry in validations
    ]
