"""More trials of a search: what it may be given when it has run."""

from dataclasses import replace
from typing import Any

import pytest

from hpo.config.environment import Environment
from hpo.config.point_file import TypedPoints
from hpo.journal.budget import Limit
from hpo.journal.events import GainEstimated, StageExtended, StageFinished, TrialAsked, TrialFinished
from hpo.journal.results import StudyState
from hpo.journal.stage_state import UNLIKELY
from hpo.space.space import Parameters
from hpo.study.estimate import Estimate
from hpo.study.plan import StageRequest, StudyPlan
from hpo.study.running import outline, preparing
from hpo.study.running.outline import StageOutline
from hpo.study.running.preparing import PreparedStage, prepare_more
from hpo.tasks.base.task import TrialTime
from model.errors import ConfigError


def extended(plan: StudyPlan, state: StudyState, environment: Environment, **request: Any) -> PreparedStage:
    return prepare_more(plan, [StageRequest(name="bayes", **request)], state, environment, lambda *_: None)[0]


def test_space_without_a_point_of_the_warm_start_is_refused(
    small_plan: StudyPlan, searched: StudyState, environment: Environment
) -> None:
    points = [{"parameters": {"f": 9}, "score": 0.5}]
    searched.asked["bayes"] = replace(searched.asked["bayes"], known={"study": "older", "points": points})
    with pytest.raises(ConfigError, match="study 'old' knows: its warm start has f = 9"):
        extended(small_plan, searched, environment, bounds=["f=2..8"], options={"trials": 5})


@pytest.mark.parametrize(
    ("typed", "again"),
    [("f=2,3,8,9", {"f": [2, 3, 8, 9]}), ("f=2,3,8,9", ["f=9,8,3,2"]), ("f=2..20", {"f": (2, 20)})],
)
def test_space_that_is_typed_again_adds_no_trials(
    small_plan: StudyPlan, searched: StudyState, environment: Environment, typed: str, again: Any
) -> None:
    wider = extended(small_plan, searched, environment, bounds=[typed], options={"trials": 3})
    settings, space = (
        dict(wider.asked.settings),
        wider.plan.task.varied(wider.plan.study, "bayes", wider.plan.shape),
    )
    searched.apply(StageExtended(stage="bayes", settings=settings, trials=3, space=space))
    searched.apply(TrialAsked(trial="bayes-8", stage="bayes", parameters={"f": 8}, seed=4))
    searched.apply(TrialFinished(trial="bayes-8", score=0.5, epoch=2, duration_s=1.0))
    searched.apply(StageFinished(stage="bayes", best_trial="bayes-8", chosen={"f": 8}))
    with pytest.raises(ConfigError, match="has 3 trials of stage bayes already"):
        extended(small_plan, searched, environment, bounds=again)


def test_search_that_ended_as_unlikely_tries_a_point_that_is_new(
    small_plan: StudyPlan, searched: StudyState, environment: Environment
) -> None:
    settings = {**searched.asked["bayes"].settings, "stop_when": "unlikely", "trials": 30}
    searched.apply(StageExtended(stage="bayes", settings=settings, trials=30))
    for proposed in range(2, 2 + UNLIKELY):
        searched.apply(GainEstimated(stage="bayes", proposed=proposed, trials=10, gain=0.01, noise=0.03))
    searched.apply(StageFinished(stage="bayes", best_trial="bayes-3", chosen={"f": 3}))
    tried = TypedPoints(source="mine.csv", rows=({"f": 5},))
    first = extended(small_plan, searched, environment, tried=tried, options={"trials": 30}).first
    assert ("try 1", "") in [(point.source, point.why_not) for point in first]


def test_search_without_room_for_the_study_files_own_configuration_takes_other_options(
    small_plan: StudyPlan, searched: StudyState, environment: Environment
) -> None:
    own = small_plan.study.hyperparameters.model_copy(update={"f": 8})
    plan = replace(small_plan, study=small_plan.study.model_copy(update={"hyperparameters": own}))
    settings = searched.asked["bayes"].settings
    searched.apply(StageExtended(stage="bayes", settings=settings, trials=2))  # which has not ended again
    stage = extended(plan, searched, environment, options={"concurrent": 2})
    assert (stage.trials, stage.asked.settings["concurrent"]) == (2, 2)
    tried = TypedPoints(source="mine.csv", rows=({"f": 5},))
    with pytest.raises(
        ConfigError, match=r"2 points are to be tried first, .* has 0 configurations left"
    ) as no:
        extended(plan, searched, environment, tried=tried)
    assert no.value.details["fix"] == "add --trials 4, or leave points out"


@pytest.mark.parametrize("by_table", [True, False])
def test_wider_space_that_cannot_be_trained_is_refused(
    small_plan: StudyPlan,
    searched: StudyState,
    environment: Environment,
    monkeypatch: pytest.MonkeyPatch,
    by_table: bool,
) -> None:
    def check(point: Parameters, plan: StudyPlan, *, source: str) -> None:
        if point == {"f": 40}:
            raise ConfigError(f"no data are long enough for {source}")

    monkeypatch.setattr(preparing, "configuration_from_symbols", check)
    table = small_plan.study.stages.named("bayes").model_dump(mode="json")
    table["space"]["f"]["high"] = 40
    space = {"table": table} if by_table else {"bounds": ["f=2..40"]}
    with pytest.raises(ConfigError, match=r"long enough for stages\.bayes\.space\.f"):
        extended(small_plan, searched, environment, **space, options={"trials": 5})


def test_dry_run_of_more_trials_counts_only_those_that_are_left(
    small_plan: StudyPlan,
    searched: StudyState,
    environment: Environment,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    counts: list[int] = []
    time = Estimate(TrialTime(trial_s=9.5, speed="fast", work="a lot"), 5000.0)

    def estimated(*_: object, trials: int) -> Estimate:
        counts.append(trials)
        return time

    monkeypatch.setattr(outline, "estimate", estimated)
    stage = extended(small_plan, searched, environment, options={"trials": 5})
    stage = replace(stage, limit=Limit(words="1 h", left_s=3600.0))
    lines = outline.plan_text(small_plan, "old", [outline.outline(stage, environment)]).splitlines()
    assert counts == [3]
    assert "stage       bayes: 5 trials at most, 3 left, 1 at a time" in lines
    assert "  budget    1 h: 1 h 00 min for this stage, about 3 of its 3 trials fit" in lines


def test_dry_run_shows_what_a_stage_after_the_search_tries(
    small_plan: StudyPlan, searched: StudyState, environment: Environment
) -> None:
    request = StageRequest(name="lambda-sweep", options={"values": [0.5, 2]})
    (stage,) = preparing.prepare_more(small_plan, [request], searched, environment, lambda *_: None)
    lines = outline.plan_text(small_plan, "old", [StageOutline(stage=stage, estimate=None)]).splitlines()
    assert lines[-1] == "  values    lambda_seg 0.5 2 (values of the stage)"


def test_dry_run_names_early_stopping_only_where_trials_can_be_stopped(
    small_plan: StudyPlan, searched: StudyState, environment: Environment
) -> None:
    stage = extended(small_plan, searched, environment, options={"trials": 5, "scheduler": "asha"})
    study = stage.plan.study

    def stopping(epochs: int, every: int) -> list[str]:
        training = study.training.model_copy(update={"epochs": epochs, "validate_every": every})
        plan = replace(stage.plan, study=study.model_copy(update={"training": training}))
        outlined = StageOutline(stage=replace(stage, plan=plan), estimate=None)
        lines = outline.plan_text(small_plan, "old", [outlined]).splitlines()
        return [line for line in lines if "stopping" in line]

    assert stopping(2, 1) == ["  stopping  by asha from epoch 1 on"]
    assert stopping(12, 4) == ["  stopping  by asha from epoch 4 on"]
    assert stopping(1, 1) == stopping(12, 12) == []
