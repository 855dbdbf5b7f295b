"""The simple way to train: one learner after the other."""

from dataclasses import dataclass
from typing import Any

import torch

from hpo.tasks.base.learner import Learner, SequentialArray
from model.training.outcomes import DivergedError, FailedError, Validation
from model.training.schedule import TrainingSchedule

CPU = torch.device("cpu")


@dataclass(frozen=True)
class Config:
    step: float


class Counter(Learner[float]):
    """Adds its step to a number; what is not allowed raises."""

    value = 0.0

    def train_epoch(self, train: float, device: torch.device) -> None:
        if self.config.step < 0:
            raise ValueError("steps back")
        self.value += self.config.step * train

    def validate(self, valid: float, device: torch.device) -> dict[str, float]:
        return {"value": self.value / valid}

    def learnt(self) -> dict[str, Any]:
        return {"value": self.value}

    def restore(self, learnt: dict[str, Any]) -> None:
        self.value = learnt["value"]


def array(*steps: float) -> SequentialArray[float]:
    found = SequentialArray(TrainingSchedule(epochs=5, validate_every=2), train=2.0, valid=10.0, device=CPU)
    found.slots = [Counter(Config(step)) for step in steps]
    return found


def test_learners_are_validated_where_the_rounds_say_and_at_the_end() -> None:
    trained = array(1.0)
    told = [trained.advance()[0].result for _ in range(3)]
    assert all(isinstance(result, Validation) for result in told)
    assert [(result.epoch, result.metrics["value"]) for result in told] == [(2, 0.4), (4, 0.8), (5, 1.0)]  # type: ignore[union-attr]


def test_a_mistake_in_one_learner_fails_it_alone() -> None:
    trained = array(1.0, -1.0, float("inf"))
    good, raised, diverged = (outcome.result for outcome in trained.advance())
    assert isinstance(good, Validation)
    assert isinstance(raised, FailedError) and str(raised) == "ValueError: steps back"
    assert isinstance(raised.__cause__, ValueError), "the traceback of the learner is kept"
    assert isinstance(diverged, DivergedError)
    assert len(trained.slots) == 1


def test_a_learner_goes_on_from_its_state() -> None:
    trained = array(1.0)
    trained.advance()
    again = Counter(Config(1.0))
    again.load_state(trained.slots[0].state())
    assert (again.epoch, again.value) == (2, 4.0)
