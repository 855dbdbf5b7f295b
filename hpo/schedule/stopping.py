"""Early stopping of poor trials as Ray Tune's schedulers decide, comparing trials epoch by epoch."""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hpo.config.stages import SearchStage, Stage
from hpo.schedule.median import MedianRule
from hpo.schedule.rule import StoppingRule
from hpo.schedule.tuner import before_importing_ray

if TYPE_CHECKING:
    from ray.tune.schedulers import TrialScheduler


class NeverStop(StoppingRule):
    """Rule that never stops a trial."""

    def should_stop(self, trial: str, epoch: int, score: float) -> bool:
        """Return False: the trial continues."""
        return False


@dataclass(frozen=True, slots=True)
class _NamedTrial:
    """The only attribute of a trial that Ray's schedulers read.

    Tune gives a resumed trial a new id, but the scheduler must see the same trial.
    """

    trial_id: str


class RayStoppingRule(StoppingRule):
    """Rule that uses one of Ray's schedulers.

    Unlike Tune, it does not report two events to the scheduler: that a trial was stopped, which would repeat
    its last validation, and that a trial failed, which has no epoch.

    Args:
        scheduler: Scheduler that reads ``epoch`` and ``score`` and never pauses a trial.
        epochs: Epochs of a trial. As in Tune, the last validation is reported but cannot stop the trial.
    """

    def __init__(self, scheduler: "TrialScheduler", *, epochs: int) -> None:
        self._scheduler, self._epochs = scheduler, epochs
        self._latest: dict[str, int] = {}
        self._stopped: set[str] = set()

    def should_stop(self, trial: str, epoch: int, score: float) -> bool:
        """Report a new validation to the scheduler and return its decision.

        Scores that are not finite are not reported.
        """
        is_new = epoch > self._latest.get(trial, 0) and math.isfinite(score)
        if is_new and trial not in self._stopped:
            self._report(trial, epoch, score)
        return trial in self._stopped

    def _report(self, trial: str, epoch: int, score: float) -> None:
        named, result = _NamedTrial(trial), {"epoch": epoch, "score": score}
        if trial not in self._latest:
            self._scheduler.on_trial_add(None, named)
        self._latest[trial] = epoch
        if epoch >= self._epochs:
            self._scheduler.on_trial_complete(None, named, result)
        elif self._scheduler.on_trial_result(None, named, result) == self._scheduler.STOP:
            self._stopped.add(trial)


def build_stopping_rule(stage: Stage, *, epochs: int) -> StoppingRule:
    """Build the stopping rule of a stage whose trials train for ``epochs``; only a search can have one."""
    if not isinstance(stage, SearchStage) or stage.scheduler == "none":
        return NeverStop()
    grace = stage.grace(epochs)
    if stage.scheduler == "median":
        return MedianRule(epochs=epochs, grace=grace)
    before_importing_ray()
    from ray.tune.schedulers import ASHAScheduler

    # Trials end by themselves. Without stop_last_trials=False, a rung that a trial skipped would judge it
    # later by a score from another epoch.
    scheduler = ASHAScheduler(
        time_attr="epoch",
        metric="score",
        mode="max",
        max_t=epochs,
        grace_period=grace,
        reduction_factor=stage.reduction_factor,
        stop_last_trials=False,
    )
    return RayStoppingRule(scheduler, epochs=epochs)
