"""Stages that never ran, for figures."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from hpo.journal.events import StageStarted, StudyCreated, TrialReported
from hpo.journal.results import StudyState
from hpo.journal.trial_state import TrialState, TrialStatus
from hpo.space.parameters import FloatParameter, IntParameter
from hpo.space.space import Space
from hpo.tasks.base.presentation.stage_presentation import StageView
from hpo.tasks.base.registry import AnyTask
from hpo.tasks.calf.shape import GamesShape
from hpo.tasks.calf.task import TASK
from model.timeline import FrameRate

SHAPE = GamesShape(dims=8, classes=("goal", "card"), frame_rate=FrameRate(2.0))
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
SPACE = Space([IntParameter("f", 4, 32, log=True), FloatParameter("lambda_seg", 0.1, 10, log=True)])


def trial(number: int, score: float | None, *, role: str = "", **fields: Any) -> TrialState:
    """A finished trial, or a failed one without a score."""
    status = TrialStatus.FAILED if score is None else TrialStatus.FINISHED
    metrics = {"average_map": score or 0.0, "ap/goal": score or 0.0, "ap/card": (score or 0.0) / 2}
    state = TrialState(
        trial=f"t{number}",
        stage="",
        parameters={"f": 4 + number, "lambda_seg": 0.1 + number},
        seed=number,
        replicate=number,
        role=role,
        asked_at=NOON,
        status=status,
        score=score,
        best_epoch=1,
        reports={1: TrialReported(trial="t", epoch=1, metrics=metrics, train_s=1.0)},
        reason="diverged" if score is None else None,
    )
    return replace(state, **fields)


def view(stage: str, trials: Sequence[TrialState], *, task: AnyTask = TASK, **fields: Any) -> StageView:
    """The stage with these trials."""
    created = StudyCreated(
        study="s",
        plan={"study": {"task": task.name}},
        seed=0,
        data_digest="d",
        code_digest="c",
        versions={},
        at=NOON,
    )
    state = StudyState.replay([created])
    state.apply(StageStarted(stage=stage, space=SPACE.describe(), trials=len(trials), at=NOON))
    state.trials = {each.trial: replace(each, stage=stage) for each in trials}
    return StageView(state=state, stage=stage, shape=SHAPE, dataset="x/y", score=task.score, **fields)
