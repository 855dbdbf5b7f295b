"""Pool of Ray actors that each train several trials together."""

import uuid
from collections.abc import Iterable
from typing import Any

CALLER_CPUS = 0.001
"""Processor cores that Ray reserves for the trial process that only calls an array."""


class ArrayPool:
    """Starts array actors for one run of a stage and assigns trials to them."""

    def __init__(self, *, arrays: int, slots: int, threads: int, gpus: float) -> None:
        """Start the actors.

        Args:
            arrays: Number of actors.
            slots: Maximum number of trials per actor.
            threads: Processor threads per actor.
            gpus: GPUs per actor; may be a fraction.
        """
        import ray

        from hpo.trial.array import TrialArray

        # Each trial has one running call; a call from a process that died may still run beside it.
        options = {
            "max_restarts": -1,
            "max_concurrency": 2 * slots + 2,
            # The cores of an array include those of the processes that call it.
            "num_cpus": threads - slots * CALLER_CPUS,
            "num_gpus": gpus,
        }
        run, actor = uuid.uuid4().hex[:8], ray.remote(TrialArray)
        self._slots = slots
        self._actors: dict[str, Any] = {}
        for index in range(arrays):
            name = f"array-{run}-{index}"
            self._actors[name] = actor.options(name=name, **options).remote(slots=slots, threads=threads)
        self._home: dict[str, str] = {}

    def assign(self, trial: str) -> str:
        """Assign a trial to the actor with the fewest trials and return the actor's name."""
        taken = list(self._home.values())
        name = min(self._actors, key=taken.count)
        self._home[trial] = name
        return name

    def release(self, trial: str) -> None:
        """Remove a trial from its actor, which continues to train the others."""
        name = self._home.pop(trial, None)
        if name is not None:
            self._actors[name].leave.remote(trial)

    def restart(self, trials: Iterable[str]) -> None:
        """Kill the processes that train the trials; Ray starts new ones."""
        import ray

        for name in {self._home[trial] for trial in trials if trial in self._home}:
            ray.kill(self._actors[name], no_restart=False)

    def close(self) -> None:
        """Stop all actors."""
        import ray

        for actor in self._actors.values():
            ray.kill(actor)
