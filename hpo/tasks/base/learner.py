"""The simple way to train a trial: a learner that knows how to train an epoch and how to validate itself."""

import math
import time
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from model.training.outcomes import DivergedError, FailedError, Outcome, Validation

if TYPE_CHECKING:
    import torch

SplitT = TypeVar("SplitT")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rounds:
    """How long trials train and when they are validated."""

    epochs: int
    validate_every: int
    """Epochs between two validations; the last epoch is always validated."""

    def next_validation(self, epoch: int) -> int:
        """Number of finished epochs at the validation that follows ``epoch`` finished epochs."""
        return min(self.epochs, (epoch // self.validate_every + 1) * self.validate_every)


class Learner(ABC, Generic[SplitT]):
    """One trial of a simple task: a ``hpo.tasks.base.task.Slot`` that trains itself.

    Args:
        config: All settings of the trial, a dataclass.
    """

    def __init__(self, config: Any) -> None:
        self.config = config
        self.epoch = 0
        """Finished epochs."""

    @abstractmethod
    def train_epoch(self, train: SplitT, device: "torch.device") -> None:
        """Learn for one epoch.

        What is drawn must follow from the trial's seeds and ``epoch``: a trial that was killed goes on from
        its checkpoint, and must reach the same numbers.
        """

    @abstractmethod
    def validate(self, valid: SplitT, device: "torch.device") -> dict[str, float]:
        """Metrics by name, the task's score among them."""

    @abstractmethod
    def learnt(self) -> dict[str, Any]:
        """Everything that training goes on from: tensors, numbers, strings, lists, dictionaries."""

    @abstractmethod
    def restore(self, learnt: dict[str, Any]) -> None:
        """Go on from what ``learnt`` returned."""

    def state(self) -> dict[str, Any]:
        """What was learnt, and in how many epochs."""
        return {"epoch": self.epoch, "learnt": self.learnt()}

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on from what ``state`` returned."""
        self.epoch = state["epoch"]
        self.restore(state["learnt"])


class OneByOne(Generic[SplitT]):
    """Trains learners one after the other; what one reaches does not depend on the others."""

    def __init__(self, rounds: Rounds, *, train: SplitT, valid: SplitT, device: "torch.device") -> None:
        """Set up an array without slots."""
        self.slots: list[Learner[SplitT]] = []
        self._rounds, self._train, self._valid, self._device = rounds, train, valid, device

    def advance(self) -> list[Outcome[Learner[SplitT]]]:
        """Train every slot to its next validation, and validate it. Slots that fail leave the array."""
        outcomes = [Outcome(slot, self._result(slot)) for slot in self.slots]
        self.slots = [outcome.slot for outcome in outcomes if isinstance(outcome.result, Validation)]
        return outcomes

    def _result(self, slot: Learner[SplitT]) -> Validation | FailedError:
        started = time.perf_counter()
        try:
            for _ in range(slot.epoch, self._rounds.next_validation(slot.epoch)):
                slot.train_epoch(self._train, self._device)
                slot.epoch += 1
            metrics = slot.validate(self._valid, self._device)
        except FailedError as error:
            return error
        except Exception as error:  # a mistake in one trial is no reason to lose the others
            return FailedError(f"{type(error).__name__}: {error}")
        if not all(map(math.isfinite, metrics.values())):
            return DivergedError(f"validation after epoch {slot.epoch} gives values that are not finite")
        return Validation(slot.epoch, metrics, time.perf_counter() - started)
