"""Tables and figures of a stage, made from the journal of its study."""

import hashlib
import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any

from hpo import __version__
from hpo.config.environment import Environment
from hpo.config.stages import SEARCH, FinalStage
from hpo.journal.ranking import ConfigurationKey, configuration_key
from hpo.journal.results import StudyState
from hpo.journal.trial_state import TrialState
from hpo.search.importance import importance
from hpo.search.searcher import ScoredPoint
from hpo.space.space import Space
from hpo.study.plan import StudyPlan
from hpo.tasks.base.found import estimated_scores
from hpo.tasks.base.presentation.stage_presentation import StageView
from hpo.tracking.figures import FigureFiles
from hpo.tracking.registration import Winner
from hpo.tracking.registry import registered_address
from hpo.trial.files import BEST, trial_folder
from model.documents import parse_json, read_limited
from model.errors import UserError
from model.files import write_whole

if TYPE_CHECKING:
    from rich.console import RenderableType

    from hpo.report.figures.draw import Drawn

INTERACTIVE = "figures.html"
_IMPORTANCE = "importance.json"
"""File in the folder of a study with the last computed importance."""
_MAX_IMPORTANCE_BYTES = 1 << 20


def drawn_stage(plan: StudyPlan, state: StudyState, stage: str, folder: Path) -> "Drawn":
    """Draw the figures of ``stage``; ``folder`` is that of the study."""
    from hpo.report.figures.draw import draw_stage  # plotly and matplotlib take a second to import

    view = _view(plan, state, stage, stage_importance(state, stage, folder))
    return draw_stage(view, plan.presentation(stage))


def stage_results(plan: StudyPlan, state: StudyState, stage: str, *, top: int) -> "list[RenderableType]":
    """Return the tables of ``stage``; of a search, its ``top`` best trials."""
    from hpo.report.stage_tables import stage_tables

    return stage_tables(_view(plan, state, stage), plan.presentation(stage), top=top)


def _view(
    plan: StudyPlan, state: StudyState, stage: str, shares: Mapping[str, float] | None = None
) -> StageView:
    """Return the data from which the tables and figures of ``stage`` are made; only figures show shares."""
    return StageView(
        state=state,
        stage=stage,
        shape=plan.shape,
        dataset=plan.dataset,
        score=plan.score,
        valid_items=plan.valid.items,
        importance=shares or {},
    )


def stage_importance(state: StudyState, stage: str, folder: Path) -> Mapping[str, float]:
    """Return the importance of each hyperparameter, in descending order; see ``hpo.search.importance``.

    The importance follows from the journal. The result is stored in ``folder``, that of the study, because
    scikit-learn takes a second and 165 MB to import. It is computed again when the scores have changed.

    Returns:
        Importance by name; empty if the stage is not a search or has too few trials.
    """
    if stage != SEARCH or stage not in state.stages:
        return {}
    estimated = estimated_scores(state, stage)
    groups: dict[ConfigurationKey, list[TrialState]] = defaultdict(list)
    for name in estimated:
        groups[configuration_key(state.trials[name].parameters)].append(state.trials[name])
    scored = [
        ScoredPoint(dict(group[0].parameters), fmean(estimated[trial.trial] for trial in group))
        for group in groups.values()
    ]
    description, seed = state.stages[stage].space, state.created.seed
    points = [(point.parameters, point.score) for point in scored]
    basis = _digest([__version__, version("scikit-learn"), description, seed, *points])
    file = folder / _IMPORTANCE
    stored = _stored_importance(file, basis)
    if stored is not None:
        return stored
    shares = importance(Space.from_description(description), scored, seed=seed)
    with suppress(OSError):  # the folder may be read-only
        write_whole(file, json.dumps({"basis": basis, "shares": shares}).encode())
    return shares


def _digest(basis: Sequence[Any]) -> str:
    """Return a digest of everything that an importance depends on."""
    return hashlib.sha256(json.dumps(basis, default=str).encode()).hexdigest()


def _stored_importance(file: Path, basis: str) -> Mapping[str, float] | None:
    """Return the stored importance; None if there is none, or if it was computed from something else."""
    try:
        record = parse_json(read_limited(file, _MAX_IMPORTANCE_BYTES))
        return dict(record["shares"]) if record["basis"] == basis else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def winner(plan: StudyPlan, state: StudyState, stage: str, folder: Path) -> Winner | None:
    """Return the network that a final registers under the study's name; None for other stages.

    It is also None for a final without a score, and where its file is no longer there.
    """
    trial = state.stages[stage].best_trial
    network = trial_folder(folder, trial or "") / BEST
    if not (is_final(plan, stage) and trial and network.is_file()):
        return None
    signature = plan.task.signature(plan.shape)
    return Winner(trial=trial, network=network, task=plan.study.task, signature=signature)


def registered_final(plan: StudyPlan, state: StudyState, environment: Environment) -> str | None:
    """Return the address in MLflow's registry of the network of the newest final that has ended."""
    finals = [stage for stage in state.stages.values() if is_final(plan, stage.stage) and stage.best_trial]
    if not finals:
        return None
    try:
        return registered_address(environment, state.created.identity, finals[-1].best_trial or "")
    except UserError:  # the store does not answer, which the end of the session tells
        return None


def is_final(plan: StudyPlan, stage: str) -> bool:
    """Return whether a stage of the study trains the found configurations again and tests them."""
    return isinstance(plan.study.stages.named(stage), FinalStage)


def figure_files(plan: StudyPlan, state: StudyState, stage: str, folder: Path) -> FigureFiles:
    """Return one PNG file per figure, and one HTML page with all interactive figures."""
    from hpo.report.figures.style import figure_bytes
    from hpo.report.html import stage_page

    drawn = drawn_stage(plan, state, stage, folder)
    files = {f"{figure.name}.png": figure_bytes(figure.picture, "png") for figure in drawn.figures}
    if drawn.figures:
        title = f"Stage {stage} of study {state.created.study}"
        files[INTERACTIVE] = stage_page(title, drawn.figures).encode()
    return FigureFiles(files=files, failures=drawn.failures)
