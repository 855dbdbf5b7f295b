"""The trial as Ray Tune sees it."""

import math
import time
from typing import TYPE_CHECKING, Any

from ray import tune

if TYPE_CHECKING:
    from hpo.trial.array import TrialArray

DEATHS = 3
"""How often the process of a trial's array may die before the trial counts as failed."""
RESTART_S = 120.0
"""How long a new process of an array may take to answer."""


class TrialTrainable(tune.Trainable):
    """Trains the spec in its configuration, one validation a step.

    The training is done by an array: in this process where an array holds one trial, else in an actor that
    several trials share. This one is light then, it opens no data. A trial keeps its own checkpoints
    (``TrialRun``), so that they are safe before a report leaves the array and need nothing of Tune to go on.
    What goes wrong is a result with a reason: the process lives on for the next trial.
    """

    _own: "TrialArray | None" = None

    def setup(self, config: dict[str, Any]) -> None:
        """Take the spec; the first step opens the data, where an error can be reported."""
        self._spec: dict[str, Any] = config["spec"]
        self._seen = int(self._spec["reported_epoch"])
        self._actor, self._threads = config["array"], int(config["threads"])
        self._deaths = 0

    def step(self) -> dict[str, Any]:
        """Train to the next validation."""
        result = self._ask_actor() if self._actor else self._own_array().step(self._spec, self._seen)
        self._seen = result.get("epoch", self._seen)
        return result

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Become another trial: nothing of the old one is kept."""
        if self._own is not None:
            self._own.leave(self._spec["trial"])
        self.setup(new_config)
        return True

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        """Do nothing: the trial has saved itself already."""

    def load_checkpoint(self, checkpoint: Any) -> None:
        """Do nothing: the trial goes on from its own checkpoint."""

    def _own_array(self) -> "TrialArray":
        from hpo.trial.array import TrialArray

        if self._own is None:
            self._own = TrialArray(threads=self._threads)
        return self._own

    def _ask_actor(self) -> dict[str, Any]:
        """Ask the array's actor; one that died comes back, and the trial joins it from its checkpoint."""
        import ray
        from ray.exceptions import RayActorError

        array = ray.get_actor(self._actor)
        while True:
            try:
                result: dict[str, Any] = ray.get(array.step.remote(self._spec, self._seen))
                return result
            except RayActorError:
                self._deaths += 1
                if self._deaths >= DEATHS or not _answers(array):
                    reason = f"the process of its array died {self._deaths} times"
                    return {"failed": reason, "score": math.nan, "done": True}


def _answers(array: Any) -> bool:
    """Wait until a new process has taken the place of one that died."""
    import ray
    from ray.exceptions import RayActorError

    stop = time.monotonic() + RESTART_S
    while time.monotonic() < stop:
        try:
            ray.get(array.leave.remote(""))
            return True
        except RayActorError:
            time.sleep(0.5)
    return False
