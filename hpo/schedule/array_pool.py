"""Pool of Ray actors that each train several trials together."""

import time
import uuid
from collections import Counter, defaultdict
from collections.abc import Iterable
from typing import Any

from hpo.schedule.local_ray import WorkersLostError

CALLER_CPUS = 0.001
"""Processor cores that Ray reserves for the trial process that only calls an array."""
FAILURES = 2
"""Number of errors in a row after which an actor is said not to start."""
FRESH_S = 5.0
"""Seconds after a question in which its answer shows that an actor runs. A process that gave an older answer
may have died since."""
ANSWER_S = 1.0
"""Longest time in seconds to wait until actors that run answer."""
LEAVE_S = 2.0
"""Longest time in seconds to wait until an actor has removed a trial; it may be lost, or hang."""


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
        self._failures: defaultdict[str, list[str]] = defaultdict(list)
        """Errors with which each actor has answered since it last did well."""
        self._announced = 0
        self._questions: dict[str, Any] = {}
        """The last question to each actor whether it answers."""
        self._asked_at: dict[str, float] = {}
        for name in self._actors:
            self._ask(name)

    def home_of(self, name: str) -> dict[str, Any]:
        """Return the part of a trial's Tune config that names its actor and the others."""
        return {"array": name, "other_arrays": [other for other in self._actors if other != name]}

    def answers(self) -> bool:
        """Return whether an actor answers.

        Raises:
            WorkersLostError: No actor starts, because each fails as it does, more than once: Ray starts one
                again whose process was killed.
        """
        self._hear_answers()
        if all(len(self._failures[name]) >= FAILURES for name in self._actors):
            reason = next(iter(self._failures.values()))[-1]
            raise WorkersLostError(f"the processes that train the trials cannot start: {reason}")
        return bool(self._answering)

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

        If all actors that started are lost and all their trials have ended, return one of them: its next
        trial waits until an actor answers. Without a trial, Tune would wait and hear no signal.
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

        from hpo.trial.array_actor import DIED

        self._renew_answers()
        for name in filter(self._has_answered, self._actors):
            try:
                ray.get(self._questions[name])
                self._answering.add(name)
                self._started.add(name)
                self._failures[name].clear()
            except DIED as error:
                self._answering.discard(name)
                self._failures[name].append(str(error).strip().splitlines()[-1])
            self._ask(name)

    def _renew_answers(self) -> None:
        """Ask the actors with an old answer again, and wait a moment for the new one."""
        import ray

        oldest = time.monotonic() - FRESH_S
        old = [name for name, asked_at in self._asked_at.items() if asked_at <= oldest]
        self._answering.difference_update(old)
        renewed = [name for name in old if self._has_answered(name)]
        for name in renewed:
            self._ask(name)
        if renewed:
            questions = [self._questions[name] for name in renewed]
            ray.wait(questions, num_returns=len(questions), timeout=ANSWER_S)

    def _has_answered(self, name: str) -> bool:
        import ray

        return bool(ray.wait([self._questions[name]], timeout=0)[0])

    def _ask(self, name: str) -> None:
        """Ask an actor whether it answers."""
        self._asked_at[name] = time.monotonic()
        self._questions[name] = self._actors[name].answers.remote()

    def record_move(self, trial: str, name: str) -> None:
        """Record that another actor trains a trial from now on."""
        if trial in self._home:
            self._home[trial] = name

    def home(self, trial: str) -> str | None:
        """Return the name of the actor that trains a trial; None if none does."""
        return self._home.get(trial)

    def release(self, trial: str) -> None:
        """Remove a trial from its actor, which then writes none of its files and trains the others."""
        import ray

        home = self._home.pop(trial, None)
        if home is not None:
            # Of all actors, because it may have moved.
            left = {name: actor.leave.remote(trial) for name, actor in self._actors.items()}
            ray.wait([left[home]], timeout=LEAVE_S)

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
