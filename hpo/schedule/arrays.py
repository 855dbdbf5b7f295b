"""Actors that train several trials each, and which trial is in which."""

import uuid
from collections.abc import Iterable
from typing import Any

CALLER_CPUS = 0.001
"""Of a process that only asks an array for its trial."""


class ArrayPool:
    """Array actors of one run of a stage."""

    def __init__(self, *, arrays: int, slots: int, threads: int, gpus: float) -> None:
        """Start the actors.

        Args:
            arrays: How many.
            slots: Trials that each trains together.
            threads: Processor threads of each.
            gpus: GPUs of each.
        """
        import ray

        from hpo.trial.array import TrialArray

        # Each trial has one call in flight, and one of a process that died may linger beside it.
        options = {
            "max_restarts": -1,
            "max_concurrency": 2 * slots + 2,
            # The cores of an array are also those of the processes that ask it for their trials.
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

    def take(self, trial: str) -> str:
        """Find a place for a trial; returns the name of its actor."""
        taken = list(self._home.values())
        name = min(self._actors, key=taken.count)
        self._home[trial] = name
        return name

    def release(self, trial: str) -> None:
        """Let a trial go; its array trains on without it."""
        name = self._home.pop(trial, None)
        if name is not None:
            self._actors[name].leave.remote(trial)

    def restart(self, trials: Iterable[str]) -> None:
        """Kill the processes that train the trials; new ones take their place."""
        import ray

        for name in {self._home[trial] for trial in trials if trial in self._home}:
            ray.kill(self._actors[name], no_restart=False)

    def close(self) -> None:
        """Stop the actors."""
        import ray

        for actor in self._actors.values():
            ray.kill(actor)
