"""The point that a search tries first: the study file's own configuration."""

from hpo.config.stages import SearchStage
from hpo.config.study_file import own_point, space_of
from hpo.journal.events import StageAsked
from hpo.report.formats import value
from hpo.space.space import Parameters
from hpo.study.plan import StudyPlan
from hpo.study.warm_start import scored_points
from hpo.tracking.symbols import symbol


def first_point(plan: StudyPlan, asked: StageAsked) -> Parameters | None:
    """Return the study file's own point of a search; None if the search does not try it.

    Args:
        plan: Plan with the settings of the search.
        asked: Request of the search.
    """
    return None if why_not_first(plan, asked) else own_point(plan.study, _search(plan, asked))


def why_not_first(plan: StudyPlan, asked: StageAsked) -> str:
    """Say why a search does not try the study file's own configuration; empty if it does, or is no search."""
    stage = plan.study.stages.named(asked.stage)
    if not isinstance(stage, SearchStage):
        return ""
    own, sentence = own_point(plan.study, stage), "the study file's own configuration is not tried"
    outside = [entry.name for entry in space_of(stage).parameters if not entry.contains(own[entry.name])]
    if outside:
        values = ", ".join(f"{symbol(name)} = {value(own[name])}" for name in outside)
        return f"{sentence}: outside the space with {values}"
    if own in [point.parameters for point in scored_points(asked.known)]:
        return f"{sentence}: study {asked.known['study']} has its score"
    return ""


def _search(plan: StudyPlan, asked: StageAsked) -> SearchStage:
    stage = plan.study.stages.named(asked.stage)
    assert isinstance(stage, SearchStage)
    return stage
