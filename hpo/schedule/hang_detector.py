"""Detection of hanging trials: kill their processes and retry them once."""

import time
from collections import Counter

import ray
from ray.tune.experiment import Trial

from hpo.journal.events import HUNG
from hpo.schedule.array_pool import ArrayPool
from hpo.schedule.trial_source import TrialSource

TRIES = 2
"""Number of times that a trial can hang before it fails."""


class HangDetector:
    """Records when each running trial was last active and kills the processes of trials that hang.

    Tune restarts a trial whose process died, and the trial resumes from its checkpoint.
    """

    def __init__(self, source: TrialSource, arrays: ArrayPool | None, *, limit_s: float | None) -> None:
        """Create a detector.

        Args:
            source: Gets a note about each hanging trial.
            arrays: Actors that train the trials; None if each trial has its own process.
            limit_s: Seconds without a validation after which a trial hangs; None: never.
        """
        self._source, self._arrays, self._limit_s = source, arrays, limit_s
        self._active: dict[str, tuple[float, Trial]] = {}
        self._hangs: Counter[str] = Counter()

    def record_activity(self, name: str, trial: Trial) -> None:
        """Record that a trial has just started or reported a validation."""
        self._active[name] = (time.monotonic(), trial)

    def forget(self, name: str) -> None:
        """Stop watching a trial."""
        self._active.pop(name, None)

    def watches(self, name: str) -> bool:
        """Return whether the trial is watched: it is no longer when its process was killed."""
        return name in self._active

    def failure_reason(self, name: str) -> str | None:
        """Return why a trial that hung too often failed; None for other trials."""
        if self._hangs[name] < TRIES:
            return None
        return f"the trial hung {TRIES} times: no validation for {self._limit_s:g} s"

    def kill_hanging(self) -> None:
        """Kill the processes of all trials that hang."""
        if self._limit_s is None:
            return
        since = time.monotonic() - self._limit_s
        hanging = {name: trial for name, (at, trial) in self._active.items() if at < since}
        for name, trial in hanging.items():
            self.forget(name)
            self._kill(name, trial)
        if self._arrays:
            self._arrays.restart(hanging)

    def _kill(self, name: str, trial: Trial) -> None:
        self._hangs[name] += 1
        if self._hangs[name] < TRIES:
            self._source.add_note(
                f"{name} {HUNG} {self._limit_s:g} s. Its process was killed, "
                "and the trial resumes from its checkpoint"
            )
        else:
            # Tune must not start it again.
            trial.max_failures = 0
        ray.kill(trial.temporary_state.ray_actor)
