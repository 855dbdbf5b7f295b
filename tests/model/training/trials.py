"""Small trials on a small data set, for the tests of training."""

from collections.abc import Sequence
from dataclasses import replace

import torch
from stores import small_store

from model.data.sampler import SamplerConfig
from model.data.stores.store import Store
from model.encoding import Zones
from model.losses.complete import LossConfig
from model.networks.calf_config import NetworkConfig
from model.training.config import TrainingConfig, TrialConfig
from model.training.outcomes import FailedError, Outcome, Validation
from model.training.slot import Slot
from model.training.trainer import TrainingArray

CPU = torch.device("cpu")
TRAIN = small_store([130, 120, 60], [(0, 20, 0), (0, 60, 1), (0, 99, 0), (1, 50, 1), (2, 30, 0)])
VALID = small_store([100, 70], [(0, 33, 0), (0, 66, 1), (1, 35, 1)], split="valid")
NETWORK = NetworkConfig(
    input_size=6, classes=2, class_features=3, receptive_field_frames=8, chunk_frames=40, predictions=3
)
LOSS = LossConfig(zones=Zones(((-8.0, -4.0, 4.0, 8.0), (-6.0, -3.0, 10.0, 15.0))))
TRIAL = TrialConfig(network=NETWORK, loss=LOSS, seed=5, data_seed=3)
OTHER = TrialConfig(
    network=replace(NETWORK, class_features=5, receptive_field_frames=13),
    loss=replace(LOSS, alpha2=2.0, lambda_seg=0.4, tau_max=0.8),
    seed=6,
    data_seed=3,
)
TRAINING = TrainingConfig(epochs=4, validate_every=2, sampler=SamplerConfig(chunk_frames=40, margin_frames=8))


def array_of(
    trials: Sequence[TrialConfig],
    training: TrainingConfig = TRAINING,
    *,
    train: Store = TRAIN,
    valid: Store = VALID,
) -> TrainingArray:
    array = TrainingArray(training, train=train, valid=valid, device=CPU)
    array.slots = [Slot(trial) for trial in trials]
    return array


def run(array: TrainingArray) -> list[list[Validation]]:
    """Every trial's validations until the end."""
    slots: list[Slot] = list(array.slots)
    found: list[list[Validation]] = [[] for _ in slots]
    while array.slots:
        for outcome in array.advance():
            assert isinstance(outcome.result, Validation)
            found[slots.index(outcome.slot)].append(outcome.result)
        array.slots = [slot for slot in array.slots if slot.epoch < array.training.epochs]
    return found


def only(outcomes: list[Outcome[Slot]]) -> Validation | FailedError:
    (outcome,) = outcomes
    return outcome.result


def numbers(validations: list[Validation]) -> list[tuple[int, dict[str, float]]]:
    """What a validation says but for the clock."""
    return [
        (entry.epoch, {name: value for name, value in entry.metrics.items() if name != "chunks_per_s"})
        for entry in validations
    ]
