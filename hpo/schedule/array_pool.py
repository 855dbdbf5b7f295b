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

        from hpo.trial.array_actor import TrialArrayActor

        # Each trial has one running call; a call from a process that died may still run beside it.
        options = {
            "max_restarts": -1,
            "max_concurrency": 2 * slots + 2,
            # The cores of an array include those of the processes that call it.
            "num_cpus": threads - slots * CALLER_CPUS,
            "num_gpus": gpus,
        }
        run, actor = uuid.uuid4().hex[:8], ray.remote(TrialArrayActor)
        self._actors: dict[str, Any] = {}
        for index in range(arrays):
            name = f"array-{run}-{index}"
            self._actors[name] = actor.options(name=name, **options).remote(slots=slots, threads=threads)
        self._home: dict[str, str] = {}
        self._announced = 0

    def announce(self) -> str:
        """Tell the actor that gets the next trial that its proposal is being made, and return its ticket.

        A proposal takes longer than an actor would wait for it; without the announcement, the first trial
        of a new round would train an interval alone.
        """
        self._announced += 1
        ticket = f"proposal {self._announced}"
        self._actors[self._emptiest()].expect.remote(ticket)
        return ticket

    def withdraw(self, ticket: str) -> None:
        """Tell the actor that the announced proposal was not made."""
        self._actors[self._emptiest()].expect_no_longer.remote(ticket)

    def assign(self, trial: str, ticket: str) -> str:
        """Assign the announced trial to the actor with the fewest trials and return the actor's name."""
        name = self._emptiest()
        self._home[trial] = name
        self._actors[name].expect.remote(trial, instead_of=ticket)
        return name

    def _emptiest(self) -> str:
        taken = list(self._home.values())
        return min(self._actors, key=taken.count)

    def home(self, trial: str) -> str | None:
        """Return the name of the actor that trains a trial; None if none does."""
        return self._home.get(trial)

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
