"""Warm start of a search from the scores of an earlier study."""

from collections.abc import Mapping
from typing import Any

from hpo.config.environment import Environment
from hpo.config.stages import SEARCH, SearchStage
from hpo.config.study_file import space_of
from hpo.journal.journal import stored_events
from hpo.journal.results import StudyState, TrialStatus
from hpo.report.formats import values_tried
from hpo.search.searcher import ScoredPoint
from hpo.space.space import Space
from hpo.study.folders import chosen_study
from hpo.study.plan import StudyPlan
from hpo.tasks.base.registry import score_of
from model.errors import UserError
from model.shell import shell_line


def known_scores(study: str, plan: StudyPlan, environment: Environment) -> dict[str, Any]:
    """Return the scores of another study's search, as the journal of the new study stores them.

    Args:
        study: Name of the other study.
        plan: The new study, with the settings of its search.
        environment: Where studies are stored.

    Raises:
        UserError: The study or its search does not exist, or has another space, other data, another score or
            another number of epochs (the error names all differences), or it leaves no point to try.
    """
    state = StudyState.replay(stored_events(chosen_study(environment, study)))
    stage = state.stages.get(SEARCH)
    if stage is None:
        raise UserError(f"study {study!r} has no search whose scores could be used")
    search = plan.study.stages.named(SEARCH)
    assert isinstance(search, SearchStage)
    theirs_space, our_space = Space.from_description(stage.space), space_of(search)
    spaces = (theirs_space.digest(), our_space.digest())
    pairs = {
        "space": spaces,
        "data": (state.created.data_digest, plan.data_digest),
        "names of the scores": (score_of(state.created).metric, plan.score.metric),
        "epochs": (stage.epochs, plan.study.training.epochs),
    }
    differing = [name for name, (theirs, ours) in pairs.items() if theirs != ours]
    if differing:
        error = UserError(f"cannot use the scores of study {study!r}: {' and '.join(differing)} differ")
        if "space" in differing:
            error.details["expected"] = _described(our_space)
            error.details["got"] = _described(theirs_space)
        raise error
    finished = [trial for trial in state.trials_of(SEARCH) if trial.status is TrialStatus.FINISHED]
    own = [{"parameters": dict(trial.parameters), "score": trial.score} for trial in finished]
    # What the other study knew from a warm start of its own is known here too.
    asked = state.asked.get(SEARCH)
    inherited = asked.known.get("points", []) if asked else []
    points = [*inherited, *own]
    known = {tuple(point["parameters"].get(name) for name in our_space.names) for point in points}
    if our_space.size() is not None and len(known) >= (our_space.size() or 0):
        raise UserError(
            f"study {study!r} knows the scores of all {len(known)} points of the space: none is left to try",
            fix="start a later stage from it, such as "
            f"{shell_line('hpo', 'run', 'final', '--study', study)}, or widen the space",
        )
    return {"study": study, "points": points}


def _described(space: Space) -> str:
    return "; ".join(f"{name} {values_tried(fields)}" for name, fields in space.describe().items())


def scored_points(known: Mapping[str, Any]) -> list[ScoredPoint]:
    """Read the scores that ``known_scores`` returned."""
    return [ScoredPoint(point["parameters"], point["score"]) for point in known.get("points", [])]
