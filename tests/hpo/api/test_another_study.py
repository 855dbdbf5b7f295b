"""Commands that start another search with the options that do not fit a study."""

from dataclasses import replace
from pathlib import Path

import pytest

from hpo.api.another_study import another_search
from hpo.config.environment import Environment
from hpo.study.plan import StageRequest, StudyPlan, StudyRequest, refuse_options_of_other_tasks
from hpo.study.point_file import read_points
from hpo.tasks.base.registry import load_study
from hpo.tasks.calf.presentation.commands import COMMANDS
from model.errors import ConfigError

SEARCH = StageRequest(name="bayes")


def advice(plan: StudyPlan, environment: Environment, search: StageRequest = SEARCH) -> str:
    typed = StudyRequest(study_file="", data="/games", seed=3)
    return another_search(plan, typed, search, environment, COMMANDS)


def with_file(plan: StudyPlan, name: str) -> StudyPlan:
    return replace(plan, study=load_study(name))


def test_study_file_is_named_unless_the_command_takes_the_same_one(
    small_plan: StudyPlan, environment: Environment
) -> None:
    assert advice(small_plan, environment).endswith("--study-file FILE --seed 3")
    usual = with_file(small_plan, "calf")
    assert "--study-file" not in advice(usual, environment)
    assert "--study-file FILE" in advice(with_file(small_plan, "calf-v2"), environment)
    other_trials = usual.with_stage("bayes", {**usual.study.stages.named("bayes").model_dump(), "trials": 9})
    assert "--study-file FILE" in advice(other_trials, environment)


def test_options_of_the_search_are_kept(
    small_plan: StudyPlan, environment: Environment, tmp_path: Path
) -> None:
    points = tmp_path / "points.csv"
    points.write_text("f\n4\n")
    options = {"trials": 9, "stop_when": "unlikely", "searcher": None}
    search = StageRequest(name="bayes", options=options, tried=read_points(points), bounds=["f=2..40"])
    words = f"--trials 9 --stop-when unlikely --try {points} --space f=2..40"
    assert advice(small_plan, environment, search).endswith(words)
    in_python = StageRequest(name="bayes", bounds={"f": (2, 40), "beta": [0.1, 1], "alpha2": 3})
    assert advice(small_plan, environment, in_python).endswith(
        "--space f=2..40 --space beta=0.1,1 --space alpha2=3"
    )


@pytest.mark.parametrize(
    ("task", "option", "typed"),
    [("calf", "--skip-missing", {"skip_missing": True}), ("bmn", "--labels", {"labels": "v1"})],
)
def test_option_that_the_task_lacks_is_in_no_advice(task: str, option: str, typed: dict[str, object]) -> None:
    request = replace(StudyRequest(study_file="", data="/games"), **typed)
    with pytest.raises(ConfigError, match=f"the task {task} has no option {option}; leave it out"):
        refuse_options_of_other_tasks(load_study(task), request)
