"""Warm start of a search from the scores of an earlier study."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hpo.config.differences import differing_settings
from hpo.config.environment import Environment
from hpo.config.stages import SEARCH, SEARCHERS_WITH_PRIOR, SearchStage
from hpo.config.study_file import space_of
from hpo.journal.results import StudyState, stored_state
from hpo.journal.trial_state import TrialState
from hpo.programs.estimates import ScoreEstimates
from hpo.report.formats import values_tried
from hpo.search.searcher import ScoredPoint
from hpo.space.space import Space
from hpo.study.folders import chosen_study
from hpo.study.plan import StudyPlan, plan_of
from hpo.tasks.base.registry import score_of
from hpo.tasks.base.versions import code_digest
from model.errors import ConfigError, UserError
from model.shell import shell_line
from model.wording import counted

_WITHOUT_EFFECT = ("hours", "preset", "training.hangs_after_s")
"""Settings of a study file that change no score by themselves."""


def refuse_other_warm_start(folder: Path, study: str) -> None:
    """Check that the search of the study in ``folder`` has learnt from ``study`` since its start.

    Raises:
        ConfigError: It has not.
    """
    asked = stored_state(folder).asked.get(SEARCH)
    if asked is None or asked.known.get("study") != study:
        raise ConfigError(f"--warm-start is for a new study, and {folder.name!r} exists", fix="leave it out")


def known_scores(study: str, plan: StudyPlan, environment: Environment) -> dict[str, Any]:
    """Return the scores of another study's search, as the journal of the new study stores them.

    Trials that were stopped early count with the score that they are expected to reach. Scores on other data
    or features, after another number of epochs, with other tolerances or suppression, with other settings
    that the search does not vary, or of other code are related: they tell where to look first.

    Args:
        study: Name of the other study.
        plan: The new study, with the settings of its search.
        environment: Where studies are stored.

    Raises:
        UserError: The study or its search does not exist, or has another space or score (the error names all
            differences), it is related and the searcher cannot use that, or it leaves no point to try.
    """
    folder = chosen_study(environment, study)
    state = stored_state(folder)
    stage = state.stages.get(SEARCH)
    if stage is None:
        raise UserError(f"study {study!r} has no search whose scores could be used")
    search = plan.study.stages.named(SEARCH)
    assert isinstance(search, SearchStage)
    space, metric = space_of(search), plan.score.metric
    _refuse_other_scores(
        study,
        spaces=(Space.from_description(stage.space), space),
        metrics=(score_of(state.created).metric, metric),
    )
    differing = _differing(plan_of(folder, state.created), state, plan, space)
    # What the other study knew from a warm start of its own is known here too.
    asked = state.asked.get(SEARCH)
    points = [*(asked.known.get("points", []) if asked else []), *_own(state.trials_of(SEARCH), metric)]
    if search.searcher not in SEARCHERS_WITH_PRIOR:
        _refuse_related(study, search.searcher, differing, points)
    if differing:
        points = [{**point, "is_related": True} for point in points]
    known = {"study": study, "points": points, "differing": list(differing)}
    _refuse_complete(known, space)
    return known


def count_known(known: Mapping[str, Any], space: Space) -> int:
    """Return the number of points of the space that a search does not try, because it knows their scores."""
    points = [point.parameters for point in scored_points(known) if not point.is_related]
    return len({tuple(point.get(name) for name in space.names) for point in points})


def describe_known(known: Mapping[str, Any]) -> str:
    """Say what a search knows before its first trial; empty for nothing."""
    if not known:
        return ""
    prior = "used as a prior, which loses weight if the new scores disagree"
    points, differing = scored_points(known), known.get("differing")
    if differing:
        text = _starts_from(len(points), known["study"])
        return f"{text}, with other {' and '.join(differing)}: {prior}"
    related = sum(point.is_related for point in points)
    text = _starts_from(len(points) - related, known["study"])
    return f"{text}, and from {counted(related, 'score')} of its warm start: {prior}" if related else text


def _starts_from(scores: int, study: str) -> str:
    return f"the search starts from {counted(scores, 'score')} of study {study}"


def scored_points(known: Mapping[str, Any]) -> list[ScoredPoint]:
    """Read the scores that ``known_scores`` returned."""
    return [ScoredPoint(**point) for point in known.get("points", [])]


def _differing(theirs: StudyPlan, state: StudyState, ours: StudyPlan, space: Space) -> dict[str, str]:
    """Return in what another study differs, so that its scores are related only -> details in words."""
    settings = _other_settings(theirs, ours, space)
    related = {
        "data": state.created.data_digest != ours.data_digest,
        "epochs": state.stages[SEARCH].epochs != ours.study.training.epochs,
        "scoring": theirs.scoring != ours.scoring,
        "settings": bool(settings),
        "code": state.created.code_digest != code_digest(ours.study.task),
    }
    return {name: settings if name == "settings" else "" for name, differs in related.items() if differs}


def _other_settings(theirs: StudyPlan, ours: StudyPlan, space: Space) -> str:
    """Say with which other settings two studies train the same point of ``space``; empty for none.

    Data, scoring and epochs are compared by themselves. Where the condition of a hyperparameter does not
    hold, it has the value of the study file.
    """
    searched = {f"hyperparameters.{entry.name}" for entry in space.parameters if not entry.when}
    found = [
        f"{key} = {json.dumps(there)}, here {json.dumps(here)}"
        for key, (there, here) in differing_settings(theirs.study, ours.study).items()
        if key not in searched and key not in _WITHOUT_EFFECT and not key.startswith(("data.", "scoring."))
    ]
    more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
    return f"{found[0]}{more}" if found else ""


def _refuse_related(
    study: str, searcher: str, differing: Mapping[str, str], points: Sequence[Mapping[str, Any]]
) -> None:
    """Check that no score is related only, for a searcher that cannot use such scores."""
    fix = f"use --searcher {' or '.join(SEARCHERS_WITH_PRIOR)}, which uses them as a prior"
    cannot = f"searcher {searcher} cannot use the scores of study {study!r}"
    if differing:
        details = {name: words for name, words in differing.items() if words}
        raise UserError(f"{cannot}, which has other {' and '.join(differing)}", **details, fix=fix)
    related = sum(bool(point.get("is_related")) for point in points)
    if related:
        raise UserError(
            f"{cannot}, of which {related} come from a warm start with other data or settings", fix=fix
        )


def _refuse_complete(known: Mapping[str, Any], space: Space) -> None:
    """Check that a space has a point whose score is not known."""
    count, study = count_known(known, space), known["study"]
    if count == space.size():
        raise UserError(
            f"study {study!r} knows the scores of all {count} points of the space: none is left to try",
            fix="start a later stage from it, such as "
            f"{shell_line('hpo', 'run', 'final', '--study', study)}, or widen the space",
        )


def _own(trials: Sequence[TrialState], metric: str) -> list[dict[str, Any]]:
    """Return what the trials of a search tell about their points."""
    model = ScoreEstimates(metric)
    model.learn(trials)
    estimates = [(trial, model.estimate(trial)) for trial in trials if trial.has_ended]
    return [
        {"parameters": dict(trial.parameters), "score": estimate.score, "variance": estimate.variance}
        for trial, estimate in estimates
        if estimate is not None
    ]


def _refuse_other_scores(study: str, *, spaces: tuple[Space, Space], metrics: tuple[str, str]) -> None:
    """Check that the other study (first of each pair) searched the same space for the same score."""
    (their_space, our_space), (theirs, ours) = spaces, metrics
    differing = ["spaces"] if their_space.digest() != our_space.digest() else []
    differing += ["names of the scores"] if theirs != ours else []
    if not differing:
        return
    error = UserError(f"cannot use the scores of study {study!r}: the {' and the '.join(differing)} differ")
    if "spaces" in differing:
        error.details["expected"] = _described(our_space)
        error.details["got"] = _described(their_space)
        how = "with --space" if _bounds_only(their_space, our_space) else "in a study file"
        error.details["fix"] = f"give this search the other's space {how}, or leave --warm-start out"
    raise error


def _bounds_only(theirs: Space, ours: Space) -> bool:
    """Return whether --space can make one space of the other: it adds neither names nor conditions."""
    conditions = [{entry.name: entry.when for entry in space.parameters} for space in (theirs, ours)]
    return conditions[0] == conditions[1]


def _described(space: Space) -> str:
    return "; ".join(f"{name} {values_tried(fields)}" for name, fields in space.describe().items())
