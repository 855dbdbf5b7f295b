"""Base class for the trials of a simple task, which train one epoch at a time."""

import math
import time
from abc import ABC, abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from hpo.tasks.base.printed import printed_to
from hpo.tasks.base.working_folder import working_folder_kept
from model.training.outcomes import DivergedError, FailedError, Outcome, Validation, failure_of
from model.training.schedule import TrainingSchedule

if TYPE_CHECKING:
    import torch

SplitT = TypeVar("SplitT")


class Learner(ABC, Generic[SplitT]):
    """A trial of a simple task, which trains and validates itself.

    Subclasses implement the interface ``hpo.tasks.base.task.Slot``.

    Args:
        config: Dataclass with all settings of the trial.
    """

    def __init__(self, config: Any) -> None:
        self.config = config
        self.epoch = 0
        """Number of finished epochs."""
        self.output: Path | None = None
        """File for what training and validation print."""

    @abstractmethod
    def train_epoch(self, train: SplitT, device: "torch.device") -> None:
        """Train for one epoch.

        Random draws must depend only on the trial's seeds and on ``epoch``, so that a trial that resumes from
        a checkpoint gives the same results.
        """

    @abstractmethod
    def validate(self, valid: SplitT, device: "torch.device") -> dict[str, float]:
        """Return metrics by name, including the task's score."""

    @abstractmethod
    def learnt(self) -> dict[str, Any]:
        """Return the trained state.

        It consists of tensors, NumPy arrays, numbers, strings, and lists or dictionaries of these.
        """

    @abstractmethod
    def restore(self, learnt: dict[str, Any]) -> None:
        """Restore the trained state that ``learnt`` returned."""

    def state(self) -> dict[str, Any]:
        """Return the trained state and the number of finished epochs."""
        return {"epoch": self.epoch, "learnt": self.learnt()}

    def load_state(self, state: dict[str, Any]) -> None:
        """Restore what ``state`` returned."""
        self.epoch = state["epoch"]
        self.restore(state["learnt"])


class SequentialArray(Generic[SplitT]):
    """Array that trains its learners one after the other, independently of each other."""

    def __init__(
        self, schedule: TrainingSchedule, *, train: SplitT, valid: SplitT, device: "torch.device"
    ) -> None:
        """Create an array without slots."""
        self.slots: list[Learner[SplitT]] = []
        self._schedule, self._train, self._valid, self._device = schedule, train, valid, device

    def advance(self) -> list[Outcome[Learner[SplitT]]]:
        """Train every slot to its next validation and validate it; remove slots that fail."""
        outcomes = [Outcome(slot, self._result(slot)) for slot in self.slots]
        self.slots = [outcome.slot for outcome in outcomes if isinstance(outcome.result, Validation)]
        return outcomes

    def _result(self, slot: Learner[SplitT]) -> Validation | FailedError:
        started = time.perf_counter()
        try:
            with printed_to(slot.output), working_folder_kept():
                for _ in range(slot.epoch, self._schedule.next_validation(slot.epoch)):
                    slot.train_epoch(self._train, self._device)
                    slot.epoch += 1
                metrics = slot.validate(self._valid, self._device)
            finite = all(map(math.isfinite, metrics.values()))
        except Exception as error:  # an error in one trial must not stop the others
            return failure_of(error)
        if not finite:
            return DivergedError(f"the validation after epoch {slot.epoch} gave metrics that are not finite")
        return Validation(slot.epoch, metrics, time.perf_counter() - started)
