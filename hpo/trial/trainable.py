"""Ray Tune trainable for a trial."""

import math
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ray import tune

from hpo.trial.device_fault import DeviceFault

if TYPE_CHECKING:
    from hpo.trial.array import TrialArray

DEATHS = 3
"""Number of deaths of its array's process after which a trial fails."""
RESTART_S = 120.0
"""Time limit for the start of a new process of an array."""


class TrialTrainable(tune.Trainable):
    """Trains the trial in its Tune config, one validation per step.

    An array does the training: in this process if an array holds one trial, otherwise in an actor that
    several trials share; this process then opens no data. A trial writes its own checkpoints (``TrialRun``)
    before it reports a validation, and resumes without Tune's checkpoints. A failure is a result with a
    reason, so that the process can train the next trial.
    """

    _own: "TrialArray | None" = None

    def setup(self, config: dict[str, Any]) -> None:
        """Store the specification; the first step opens the data, where an error can be reported."""
        self._spec: dict[str, Any] = config["spec"]
        self._seen = int(self._spec["reported_epoch"])
        self._actor, self._threads = config["array"], int(config["threads"])
        self._deaths = 0
        self._fault: DeviceFault | None = None

    def step(self) -> dict[str, Any]:
        """Train to the next validation."""
        result = self._ask_actor() if self._actor else self._own_array().step(self._spec, self._seen)
        self._seen = result.get("epoch", self._seen)
        return result

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Switch to another trial, without any state of the old one."""
        if self._own is not None:
            self._own.leave(self._spec["trial"])
        self.setup(new_config)
        return True

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        """Do nothing: the trial writes its own checkpoints."""

    def load_checkpoint(self, checkpoint: Any) -> None:
        """Do nothing: the trial resumes from its own checkpoint."""

    def _own_array(self) -> "TrialArray":
        from hpo.trial.array import TrialArray

        if self._own is None:
            self._own = TrialArray(threads=self._threads)
        return self._own

    def _ask_actor(self) -> dict[str, Any]:
        """Call the array's actor; Ray restarts a dead one, and the trial resumes from its checkpoint."""
        import ray
        from ray.exceptions import OutOfMemoryError, RayActorError

        array = ray.get_actor(self._actor)
        while True:
            try:
                result: dict[str, Any] = ray.get(array.step.remote(self._spec, self._seen))
                return result
            except (RayActorError, OutOfMemoryError):
                # For a failure of the device, the array itself decides which trial fails.
                before, self._fault = self._fault, DeviceFault.read(Path(self._spec["folder"]))
                self._deaths += self._fault is None or self._fault == before
                if self._deaths >= DEATHS or not _answers(array):
                    reason = f"the process of the trial's array died {self._deaths} times"
                    return {"failed": reason, "score": math.nan, "ended": True}


def _answers(array: Any) -> bool:
    """Wait until the actor answers from a new process; return False after ``RESTART_S`` seconds."""
    import ray
    from ray.exceptions import OutOfMemoryError, RayActorError

    stop = time.monotonic() + RESTART_S
    while time.monotonic() < stop:
        try:
            ray.get(array.leave.remote(""))
            return True
        except (RayActorError, OutOfMemoryError):
            time.sleep(0.5)
    return False
