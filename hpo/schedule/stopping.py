"""Which trials to stop early: Ray Tune's schedulers, with the epoch as the rung."""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hpo.config.stages import SearchStage, Stage
from hpo.schedule.tuner import before_importing_ray

if TYPE_CHECKING:
    from ray.tune.schedulers import TrialScheduler


class StoppingRule(ABC):
    """Decides at every validation whether its trial goes on."""

    @abstractmethod
    def stops(self, trial: str, epoch: int, score: float) -> bool:
        """Take in a validation of ``trial``, each once and in the order of the journal.

        Decisions follow from the validations before and from nothing else: whoever replays a journal gets
        them again.

        Returns:
            Whether the trial shall stop here. Of a validation that was taken in before, whether it stopped.
        """


class NeverStop(StoppingRule):
    """Lets every trial use up its epochs."""

    def stops(self, trial: str, epoch: int, score: float) -> bool:
        """Let it go on."""
        return False


@dataclass(frozen=True, slots=True)
class _NamedTrial:
    """All that Ray's schedulers read of a trial.

    Tune gives a trial that is taken up again another identity; to the scheduler it must be the same one.
    """

    trial_id: str


class RayRule(StoppingRule):
    """Asks one of Ray's schedulers.

    Args:
        scheduler: Reads ``epoch`` and ``score`` and never pauses a trial. Two things that Tune would tell it
            are left out: that a trial was stopped, which repeats its last validation; and that a trial
            failed, which has no epoch and makes ``MedianStoppingRule`` raise on the next result.
        epochs: Of a trial. The last validation is told, not judged, as Tune does it.
    """

    def __init__(self, scheduler: "TrialScheduler", *, epochs: int) -> None:
        self._scheduler, self._epochs = scheduler, epochs
        self._latest: dict[str, int] = {}
        self._stopped: set[str] = set()

    def stops(self, trial: str, epoch: int, score: float) -> bool:
        """Pass a new validation on; a score that is not finite says nothing about the others."""
        is_new = epoch > self._latest.get(trial, 0) and math.isfinite(score)
        if is_new and trial not in self._stopped:
            self._tell(trial, epoch, score)
        return trial in self._stopped

    def _tell(self, trial: str, epoch: int, score: float) -> None:
        named, result = _NamedTrial(trial), {"epoch": epoch, "score": score}
        if trial not in self._latest:
            self._scheduler.on_trial_add(None, named)
        self._latest[trial] = epoch
        if epoch >= self._epochs:
            self._scheduler.on_trial_complete(None, named, result)
        elif self._scheduler.on_trial_result(None, named, result) == self._scheduler.STOP:
            self._stopped.add(trial)


def build_rule(stage: Stage, *, epochs: int) -> StoppingRule:
    """The rule of a stage whose trials have ``epochs``; only a search has one."""
    if not isinstance(stage, SearchStage) or stage.scheduler == "none":
        return NeverStop()
    before_importing_ray()
    from ray.tune.schedulers import ASHAScheduler, MedianStoppingRule

    grace = stage.grace(epochs)
    if stage.scheduler == "median":
        # It would pause trials while there are too few to compare with; ours have better things to do.
        scheduler = MedianStoppingRule(
            time_attr="epoch", metric="score", mode="max", grace_period=grace, min_time_slice=math.inf
        )
    else:
        # Trials end by themselves. Without this a rung that a trial jumped over judges it later, by a score
        # from another epoch.
        scheduler = ASHAScheduler(
            time_attr="epoch",
            metric="score",
            mode="max",
            max_t=epochs,
            grace_period=grace,
            reduction_factor=stage.reduction_factor,
            stop_last_trials=False,
        )
    return RayRule(scheduler, epochs=epochs)
