"""Scores that a search takes over from another study."""

from pathlib import Path
from typing import Any

import pytest
from calf_plan import calf_plan

from hpo.config.environment import Environment
from hpo.config.stages import SearchStage
from hpo.config.study_file import space_of
from hpo.journal.events import StageAsked, StageStarted, StudyCreated, TrialAsked, TrialFinished
from hpo.journal.journal import Journal
from hpo.study.folders import study_folder
from hpo.study.plan import StudyPlan
from hpo.study.warm_start import known_scores
from model.errors import UserError

GRANDPARENT = {"study": "a", "points": [{"parameters": {"f": 4}, "score": 0.1}]}


def plan_over(high: int) -> StudyPlan:
    space = {"f": {"type": "int", "low": 4, "high": high}}
    return calf_plan({"stages": {"bayes": {"trials": 3, "space": space}}})


def write_study(environment: Environment, plan: StudyPlan) -> None:
    """Study "b": it knew f = 4 from "a" and tried f = 5."""
    search = plan.study.stages.named("bayes")
    assert isinstance(search, SearchStage)
    epochs = plan.study.training.epochs
    with Journal.create(study_folder(environment, "b")) as journal:
        for event in (
            StudyCreated(
                study="b",
                plan=plan.to_json(),
                seed=0,
                data_digest=plan.data_digest,
                code_digest="c",
                versions={},
            ),
            StageAsked(stage="bayes", settings=search.model_dump(mode="json"), known=GRANDPARENT),
            StageStarted(stage="bayes", space=space_of(search).describe(), trials=3, epochs=epochs),
            TrialAsked(trial="bayes-0001", stage="bayes", parameters={"f": 5}, seed=0),
            TrialFinished(trial="bayes-0001", score=0.2, epoch=epochs, duration_s=1.0),
        ):
            journal.append(event)


@pytest.fixture
def environment(tmp_path: Path) -> Environment:
    return Environment(
        runs=tmp_path / "runs", cache=tmp_path / "cache", data=tmp_path / "data", tracking_uri="sqlite://"
    )


def points(known: dict[str, Any]) -> list[tuple[int, float]]:
    return [(point["parameters"]["f"], point["score"]) for point in known["points"]]


def test_what_the_other_study_knew_already_is_known_too(environment: Environment) -> None:
    plan = plan_over(high=9)
    write_study(environment, plan)
    assert points(known_scores("b", plan, environment)) == [(4, 0.1), (5, 0.2)]


def test_space_without_an_unknown_point_is_refused(environment: Environment) -> None:
    plan = plan_over(high=5)
    write_study(environment, plan)
    with pytest.raises(UserError, match="scores of all 2 points of the space"):
        known_scores("b", plan, environment)
