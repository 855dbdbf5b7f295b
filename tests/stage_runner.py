"""A runner of the stage ``bayes`` of a small study, and trials that end without training."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from calf_plan import calf_plan

from hpo.journal.events import (
    StageStarted,
    StudyCreated,
)
from hpo.journal.journal import Journal
from hpo.journal.results import StudyState
from hpo.study.plan import StudyPlan
from hpo.study.running.budget import StageBudget
from hpo.study.running.runner import StageRunner
from hpo.study.running.stage import build_stage
from hpo.trial.report import Report
from hpo.trial.specification import TrialSpec

SPACE = {
    "f": {"type": "int", "low": 2, "high": 64, "log": True},
    "beta": {"type": "float", "low": 0.05, "high": 5.0, "log": True},
}


def plan_of(
    trials: int = 6, space: dict[str, dict[str, object]] = SPACE, *, epochs: int = 2, **settings: object
) -> StudyPlan:
    stages = {"bayes": {"trials": trials, "space": space, **settings}}
    return calf_plan({"training": {"epochs": epochs}, "stages": stages})


def begin(folder: Path, plan: StudyPlan) -> Journal:
    journal = Journal.create(folder)
    journal.append(
        StudyCreated(
            study=folder.name,
            plan=plan.to_json(),
            seed=plan.seed,
            data_digest=plan.data_digest,
            code_digest="c",
            versions={},
        )
    )
    journal.append(StageStarted(stage="bayes", space={}, trials=plan.study.stages.bayes.trials))
    return journal


def runner_on(
    journal: Journal,
    plan: StudyPlan,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    host: str = "laptop",
    before_proposal: Callable[[], None] = lambda: None,
) -> StageRunner:
    program = build_stage(plan, "bayes", {}, finalists={})
    state = StudyState.replay(journal.events())
    budget = StageBudget(state, "bayes", plan.study.training.epochs, 5.0, clock)
    return StageRunner(
        plan,
        "bayes",
        program,
        journal,
        state,
        lambda state: None,
        budget,
        host=host,
        before_proposal=before_proposal,
    )


def next_spec(runner: StageRunner) -> TrialSpec:
    task = runner.next_spec()
    assert isinstance(task, TrialSpec)
    return task


def report(epoch: int, score: float) -> Report:
    return Report(epoch, {"average_map": score}, float(epoch), score)


def train(runner: StageRunner, score: float) -> str:
    task = next_spec(runner)
    runner.started(task.trial)
    runner.reported(task.trial, report(1, score / 2))
    runner.reported(task.trial, report(2, score))
    runner.finished(task.trial)
    return task.trial
