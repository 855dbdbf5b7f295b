"""Detection of hanging trials, whose processes are killed so that the trials resume."""

import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import ray
from ray.tune.experiment import Trial

from hpo.journal.events import HUNG
from hpo.schedule.array_pool import ArrayPool
from hpo.schedule.trial_source import TrialSource
from hpo.trial import in_training
from hpo.trial.trainable import RESTART_S

TRIES = 2
"""Number of times that a trial hangs in a process of its own before it fails."""


class HangDetector:
    """Records when each running trial was last active and kills the processes of trials that hang.

    Tune restarts a trial whose own process died, Ray a process of an array; the trials resume from their
    checkpoints.
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
        self._restarted: set[str] = set()

    def record_activity(self, name: str, trial: Trial) -> None:
        """Record that a trial has just started or reported a validation."""
        self._active[name] = (time.monotonic(), trial)
        self._restarted.discard(name)

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
        silent = {name: trial for name, (at, trial) in self._active.items() if at < since}
        if self._arrays:
            self._restart_hanging(self._arrays, silent)
            return
        for name, trial in silent.items():
            self.forget(name)
            self._kill(name, trial)

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

    def _restart_hanging(self, arrays: ArrayPool, silent: Mapping[str, Trial]) -> None:
        """Restart the arrays of which all trials are silent; in others, a trial waits while another trains.

        The death of the process then counts for its trials as any other does.
        """
        active = {arrays.home(name) for name in self._active.keys() - silent.keys()}
        for home in {arrays.home(name) for name in silent} - active:
            members = {name: trial for name, trial in silent.items() if arrays.home(name) == home}
            if self._are_stuck(members):
                self._kill_array(arrays, members)

    def _are_stuck(self, members: Mapping[str, Trial]) -> bool:
        """Return whether the trials of a silent array train for too long, or do not begin to train."""
        assert self._limit_s is not None
        ages_s = [in_training.age_s(_folder(trial)) for trial in members.values()]
        in_training_s = [age_s for age_s in ages_s if age_s is not None]
        if in_training_s:
            return max(in_training_s) > self._limit_s
        silent_s = time.monotonic() - max(self._active[name][0] for name in members)
        # Another restart would only begin the start again.
        return silent_s > self._limit_s + (RESTART_S if self._restarted & members.keys() else 0.0)

    def _kill_array(self, arrays: ArrayPool, members: Mapping[str, Trial]) -> None:
        reason = f"no validation for {self._limit_s:g} s"
        in_training_now = [
            name for name, trial in members.items() if in_training.add_reason(_folder(trial), reason)
        ]
        for name in in_training_now or members:
            self._source.add_note(f"{name} {HUNG} {self._limit_s:g} s. Its process was killed")
        for name, trial in members.items():
            self.record_activity(name, trial)
        self._restarted |= members.keys()
        arrays.restart(members)


def _folder(trial: Trial) -> Path:
    return Path(trial.config["spec"]["folder"])
