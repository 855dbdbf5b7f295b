"""Ray actor that holds an array of trials."""

from typing import Any

from ray.exceptions import OutOfMemoryError, RayActorError

DIED = (RayActorError, OutOfMemoryError)
"""Errors of Ray for a call of an array whose process has died."""


class TrialArrayActor:
    """A ``TrialArray`` in a process of its own, with its methods.

    Every process that calls an actor loads the actor's class: one for each trial. So this one does without
    PyTorch, which would take 0.2 GB in each.
    """

    def __init__(self, *, slots: int, threads: int) -> None:
        """Create an empty array; see ``TrialArray``."""
        from hpo.trial.array import TrialArray

        self._array = TrialArray(slots=slots, threads=threads)

    def step(self, record: dict[str, Any], seen: int, death: str | None) -> dict[str, Any]:
        """Train to the trial's first validation after epoch ``seen``; see ``TrialArray.step``."""
        return self._array.step(record, seen, death)

    def answers(self) -> None:
        """Do nothing: a process that answers this runs, however busy it is."""

    def leave(self, trial: str) -> None:
        """Remove a trial; see ``TrialArray.leave``."""
        self._array.leave(trial)

    def expect(self, trial: str, instead_of: str = "") -> None:
        """Wait for a trial before the next training; see ``TrialArray.expect``."""
        self._array.expect(trial, instead_of)

    def expect_no_longer(self, trial: str) -> None:
        """Continue without a trial that was expected."""
        self._array.expect_no_longer(trial)
