"""The rule by which a stage stops poor trials early."""

from hpo.config.stages import SearchStage, Stage
from hpo.schedule.asha import AshaRule
from hpo.schedule.median import MedianRule
from hpo.schedule.rule import StoppingRule


class NeverStop(StoppingRule):
    """Rule that never stops a trial."""

    def should_stop(self, trial: str, epoch: int, score: float) -> bool:
        """Return False: the trial continues."""
        return False


def build_stopping_rule(stage: Stage, *, epochs: int) -> StoppingRule:
    """Build the stopping rule of a stage whose trials train for ``epochs``; only a search can have one."""
    if not isinstance(stage, SearchStage) or stage.scheduler == "none":
        return NeverStop()
    grace = stage.grace(epochs)
    if stage.scheduler == "median":
        return MedianRule(epochs=epochs, grace=grace)
    return AshaRule(epochs=epochs, grace=grace, reduction_factor=stage.reduction_factor)
