"""Interruption of single trials whose training should end between two validations."""

import ray
from ray.tune.experiment import Trial

from hpo.schedule.trial_source import TrialSource


class Interrupter:
    """Kills the processes of the trials that the study ends at once, and that Tune must not restart."""

    def __init__(self, source: TrialSource) -> None:
        """Create an interrupter for the trials of ``source``."""
        self._source = source
        self._running: dict[str, Trial] = {}
        self._killed: set[str] = set()

    def record_start(self, name: str, trial: Trial) -> None:
        """Record that a process trains the trial."""
        self._running[name] = trial

    def forget(self, name: str) -> None:
        """Record that no process trains the trial any longer."""
        self._running.pop(name, None)

    def kill_requested(self) -> list[str]:
        """Kill the processes of the running trials that should end now, and return their names."""
        names = [name for name in self._source.to_stop() if name in self._running]
        for name in names:
            trial = self._running.pop(name)
            trial.max_failures = 0
            ray.kill(trial.temporary_state.ray_actor)
        self._killed.update(names)
        return names

    def has_killed(self, name: str) -> bool:
        """Return whether the process of the trial was killed here."""
        return name in self._killed
