import pytest

from model.encoding import Zones
from model.errors import ConfigError
from model.losses.complete import LossConfig
from model.networks.calf_config import NetworkConfig
from model.training.config import TrainingConfig, TrialConfig


def test_validations_come_at_fixed_epochs_and_at_the_last() -> None:
    config = TrainingConfig(epochs=50, validate_every=20)
    assert [config.next_validation(epoch) for epoch in (0, 19, 20, 39, 40, 49)] == [20, 20, 40, 40, 50, 50]


@pytest.mark.parametrize("wrong", [{"epochs": 0}, {"validate_every": 0}])
def test_training_without_epochs_or_validations_is_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ConfigError, match="at least 1"):
        TrainingConfig(**wrong)


@pytest.mark.parametrize(
    "wrong",
    [
        {"learning_rate": 0.0},
        {"final_learning_rate": 0.0},
        {"learning_rate": 1e-4, "final_learning_rate": 1e-3},
        {"learning_rate": float("nan")},
        {"learning_rate": float("inf")},
    ],
)
def test_learning_rates_that_do_not_fall_from_a_number_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match="learning rates"):
        TrialConfig(
            network=NetworkConfig(input_size=4, classes=1),
            loss=LossConfig(zones=Zones(((-2.0, -1.0, 1.0, 2.0),))),
            **wrong,
        )
