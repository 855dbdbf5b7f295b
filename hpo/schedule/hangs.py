"""Trials that hang: not heard of for too long, killed, and given one more try."""

import time
from collections import Counter

import ray
from ray.tune.experiment import Trial

from hpo.schedule.arrays import ArrayPool
from hpo.schedule.feed import TrialFeed

TRIES = 2
"""How often a trial may hang before it counts as failed."""


class HangWatch:
    """Knows when each running trial was last heard of, and kills the processes of those that hang.

    Tune sees a process that died and starts the trial again, from its checkpoint.
    """

    def __init__(self, feed: TrialFeed, arrays: ArrayPool | None, *, limit_s: float | None) -> None:
        """Let trials be silent for ``limit_s`` seconds; None: for ever."""
        self._feed, self._arrays, self._limit_s = feed, arrays, limit_s
        self._heard: dict[str, tuple[float, Trial]] = {}
        self._hangs: Counter[str] = Counter()

    def heard(self, name: str, trial: Trial) -> None:
        """Note a sign of life: its process took the trial, or a validation came."""
        self._heard[name] = (time.monotonic(), trial)

    def ended(self, name: str) -> None:
        """Expect nothing more of a trial."""
        self._heard.pop(name, None)

    def reason(self, name: str) -> str | None:
        """Why a trial counts as failed that hung too often."""
        if self._hangs[name] < TRIES:
            return None
        return f"it hung {TRIES} times: no validation for {self._limit_s:g} s"

    def kill_silent(self) -> None:
        """Kill the processes of all trials that hang now."""
        if self._limit_s is None:
            return
        since = time.monotonic() - self._limit_s
        silent = {name: trial for name, (at, trial) in self._heard.items() if at < since}
        for name, trial in silent.items():
            self.ended(name)
            self._kill(name, trial)
        if self._arrays:
            self._arrays.restart(silent)

    def _kill(self, name: str, trial: Trial) -> None:
        self._hangs[name] += 1
        if self._hangs[name] < TRIES:
            self._feed.noted(
                f"{name} hung, no validation for {self._limit_s:g} s: its process was killed, "
                "it goes on from its checkpoint"
            )
        else:
            # Tune must not start it again.
            trial.max_failures = 0
        ray.kill(trial.temporary_state.ray_actor)
