"""Interface of early stopping."""

from abc import ABC, abstractmethod


class StoppingRule(ABC):
    """Interface of rules that decide at every validation whether the trial continues."""

    @abstractmethod
    def should_stop(self, trial: str, epoch: int, score: float) -> bool:
        """Record a validation and decide whether its trial should stop.

        Call it for each validation in the order of the journal. The decision depends only on the validations
        recorded before, so that replaying a journal gives the same decisions.

        Returns:
            Whether the trial should stop; for a repeated validation, whether the trial has been stopped.
        """
