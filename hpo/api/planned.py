"""Plan of a run that has not started, as ``--dry-run`` prints it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hpo.api.launching import Prepared
    from hpo.journal.events import Value


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedStage:
    """A stage that would run."""

    stage: str
    """Name of the stage."""
    trials: int
    """Largest number of trials."""
    epochs: int
    """Epochs per trial."""
    estimated_s: float | None
    """Estimated duration in seconds, from a short measurement; None if the task cannot estimate it."""
    first: "Sequence[Mapping[str, Value]]" = ()
    """Points that a search tries before those of its searcher: hyperparameters by symbol."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Plan of what ``hpo.run`` would do with the same arguments; ``print`` shows all of it."""

    study: str
    """Name that the study has or would have."""
    stages: tuple[PlannedStage, ...]
    """Stages that would run, in their order."""
    text: str = field(repr=False)
    """The whole plan, as ``--dry-run`` prints it."""

    def __str__(self) -> str:
        """Return the whole plan, as ``--dry-run`` prints it."""
        return self.text


def planned(prepared: "Prepared") -> Plan:
    """Return the plan of a dry run, with the time that a short measurement predicts.

    Raises:
        UserError: A measurement on a GPU fails, or MLflow's store cannot be used.
    """
    from hpo.space.symbols import by_symbol
    from hpo.study.running.outline import outline, plan_text
    from hpo.tracking.store_check import require_usable_store

    require_usable_store(prepared.environment)
    outlines = [outline(stage, prepared.environment) for stage in prepared.stages]
    stages = tuple(
        PlannedStage(
            stage=each.stage.asked.stage,
            trials=each.stage.trials,
            epochs=each.stage.plan.study.training.epochs,
            estimated_s=each.estimate.study_s if each.estimate else None,
            first=tuple(by_symbol(point.parameters) for point in each.stage.first if not point.why_not),
        )
        for each in outlines
    )
    return Plan(study=prepared.name, stages=stages, text=plan_text(prepared.plan, prepared.name, outlines))
