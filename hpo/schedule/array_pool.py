"""Pool of Ray actors that each train several trials together."""

import uuid
from collections import Counter
from collections.abc import Iterable
from typing import Any

CALLER_CPUS = 0.001
"""Processor cores that Ray reserves for the trial process that only calls an array."""


class ArrayPool:
    """Starts array actors for one run of a stage and assigns trials to those that answer.

    An actor that finds no room on the nodes never answers, and one whose node died no longer; a node that
    joins later makes room for it.
    """

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

        # Each trial has one running call, and all may come from actors that were lost; a call from a process
        # that died may still run beside it.
        options = {
            "max_restarts": -1,
            "max_concurrency": 2 * arrays * slots + 2,
            # The cores of an array include those of the processes that call it.
            "num_cpus": threads - slots * CALLER_CPUS,
            "num_gpus": gpus,
        }
        run, actor = uuid.uuid4().hex[:8], ray.remote(TrialArrayActor)
        self._actors: dict[str, Any] = {}
        for index in range(arrays):
            name = f"array-{run}-{index}"
            self._actors[name] = actor.options(name=name, **options).remote(slots=slots, threads=threads)
        self._slots = slots
        self._home: dict[str, str] = {}
        self._proposals: dict[str, str] = {}
        self._answering: set[str] = set()
        self._started: set[str] = set()
        self._announced = 0
        self._questions = {name: self._question(name) for name in self._actors}

    @property
    def names(self) -> list[str]:
        """Names of the actors."""
        return list(self._actors)

    def announce(self) -> str | None:
        """Tell an actor that its next trial is being proposed, and return its ticket; None if none has room.

        A proposal takes longer than an actor would wait for it; without the announcement, the first trial
        of a new round would train an interval alone.
        """
        name = self._with_room()
        if name is None:
            return None
        self._announced += 1
        ticket = f"proposal {self._announced}"
        self._proposals[ticket] = name
        self._actors[name].expect.remote(ticket)
        return ticket

    def withdraw(self, ticket: str) -> None:
        """Tell the actor that the announced proposal was not made."""
        self._actors[self._proposals.pop(ticket)].expect_no_longer.remote(ticket)

    def assign(self, trial: str, ticket: str) -> str:
        """Assign the announced trial to its actor and return the actor's name."""
        name = self._proposals.pop(ticket)
        self._home[trial] = name
        self._actors[name].expect.remote(trial, instead_of=ticket)
        return name

    def _with_room(self) -> str | None:
        """Return the actor with the fewest trials among those that answer and have room.

        If all actors that started are lost and all their trials have ended, return one of them: its trial
        fails with the reason, instead of a study that waits without a word.
        """
        self._hear_answers()
        taken = Counter(self._home.values())
        free = [name for name in self._actors if name in self._answering and taken[name] < self._slots]
        if not free and not self._home:
            free = sorted(self._started)
        return min(free, key=taken.__getitem__, default=None)

    def _hear_answers(self) -> None:
        """Record which actors answered the last question, and ask them again."""
        import ray
        from ray.exceptions import OutOfMemoryError, RayActorError

        for name, question in self._questions.items():
            if not ray.wait([question], timeout=0)[0]:
                continue
            try:
                ray.get(question)
                self._answering.add(name)
                self._started.add(name)
            except (RayActorError, OutOfMemoryError):
                self._answering.discard(name)
            self._questions[name] = self._question(name)

    def _question(self, name: str) -> Any:
        return self._actors[name].leave.remote("")

    def record_move(self, trial: str, name: str) -> bool:
        """Record which actor has trained a trial; return whether the trial has moved to it."""
        before = self._home.get(trial, name)
        if trial in self._home:
            self._home[trial] = name
        return before != name

    def home(self, trial: str) -> str | None:
        """Return the name of the actor that trains a trial; None if none does."""
        return self._home.get(trial)

    def release(self, trial: str) -> None:
        """Remove a trial from its actor, which continues to train the others."""
        if self._home.pop(trial, None) is not None:
            for actor in self._actors.values():  # it may have moved
                actor.leave.remote(trial)

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
