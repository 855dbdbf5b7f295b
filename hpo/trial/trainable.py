"""Ray Tune trainable for a trial."""

import math
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ray
from ray import tune
from ray.exceptions import GetTimeoutError

from hpo.trial import in_training
from hpo.trial.array_actor import DIED

if TYPE_CHECKING:
    from hpo.trial.array import TrialArray

DEATHS = 2
"""Number of deaths of the array's process in the training of a suspected trial alone, after which it fails.

A first death, which others may have caused, makes all trials suspected that were in training."""
RESTART_S = 120.0
"""Time limit for the start of a new process of an array."""
ANSWER_S = 10.0
"""Time limit for the answer of an array, which may never have started."""


class TrialTrainable(tune.Trainable):
    """Trains the trial in its Tune config, one validation per step.

    An array does the training: in this process if an array holds one trial, otherwise in an actor that
    several trials share; this process then opens no data, and calls another actor if its own is lost. A trial
    writes its own checkpoints (``TrialRun``) before it reports a validation, and resumes without Tune's
    checkpoints. A failure is a result with a reason, so that the process can train the next trial.
    """

    _own: "TrialArray | None" = None

    def setup(self, config: dict[str, Any]) -> None:
        """Store the specification; the first step opens the data, where an error can be reported."""
        self._spec: dict[str, Any] = config["spec"]
        self._seen = int(self._spec["reported_epoch"])
        self._actor, self._threads = config["array"], int(config["threads"])
        self._other_actors: list[str] = config["other_arrays"]
        self._deaths = 0
        # Why a process died while it trained the trial, empty if that is unknown; None if none did.
        self._death = None if self._actor else in_training.take(Path(self._spec["folder"]))

    def step(self) -> dict[str, Any]:
        """Train to the next validation, or move to another array, which is a result of its own."""
        result = self._ask_actor() if self._actor else self._train_here()
        if "epoch" in result:
            self._death, self._seen = None, result["epoch"]
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

    def _train_here(self) -> dict[str, Any]:
        return self._own_array().step(self._spec, self._seen, self._death)

    def _own_array(self) -> "TrialArray":
        from hpo.trial.array import TrialArray

        if self._own is None:
            self._own = TrialArray(threads=self._threads)
        return self._own

    def _ask_actor(self) -> dict[str, Any]:
        """Call the array's actor; Ray restarts a dead one, and the trial resumes from its checkpoint.

        If no array answers, as when the only node is lost, no trial can continue: the result has ``lost``.
        """
        array = ray.get_actor(self._actor)
        while self._deaths < DEATHS:
            try:
                result: dict[str, Any] = ray.get(array.step.remote(self._spec, self._seen, self._death))
                return result
            except DIED:
                self._record_death()
            if not _starts_again(array):
                return self._move()
        reason = f"the process of its array died {DEATHS} times while it trained the trial alone"
        return _end("failed", f"{reason}: {self._death}" if self._death else reason)

    def _move(self) -> dict[str, Any]:
        """Make another array that answers the trial's own, and report that to the driver, which watches it.

        All may have died together, and start again within ``RESTART_S`` seconds.
        """
        stop = time.monotonic() + RESTART_S
        while self._other_actors:
            for name in self._other_actors:
                if _answers(ray.get_actor(name)):
                    others = [other for other in self._other_actors if other != name]
                    self._actor, self._other_actors = name, [*others, self._actor]
                    return {"moved": name, "score": math.nan, "ended": False}
            if time.monotonic() >= stop:
                break
            time.sleep(0.5)
        never = f"the process of an array did not start again in {RESTART_S:g} s"
        return _end("lost", f"{never}, and no other array answers")

    def _record_death(self) -> None:
        """Suspect the trial if the process trained it; count the death if it trained the trial alone."""
        death = in_training.take(Path(self._spec["folder"]))
        if death is not None:
            self._deaths += self._death is not None
            self._death = death


def _end(kind: str, reason: str) -> dict[str, Any]:
    return {kind: reason, "score": math.nan, "ended": True}


def _starts_again(array: Any) -> bool:
    """Wait until the actor answers from a new process; return False after ``RESTART_S`` seconds."""
    stop = time.monotonic() + RESTART_S
    while time.monotonic() < stop:
        if _answers(array):
            return True
        time.sleep(0.5)
    return False


def _answers(array: Any) -> bool:
    try:
        ray.get(array.answers.remote(), timeout=ANSWER_S)
    except (*DIED, GetTimeoutError):
        return False
    return True
