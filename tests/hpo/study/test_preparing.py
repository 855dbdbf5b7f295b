"""Checks before a stage starts, which --dry-run makes too."""

from dataclasses import replace
from pathlib import Path

import pytest

from hpo.config.environment import Environment
from hpo.journal.events import (
    StageAsked,
    StageExtended,
    StageFinished,
    StageStarted,
    TrialAsked,
    TrialFinished,
)
from hpo.journal.journal import Journal
from hpo.journal.results import StudyState
from hpo.study.first_point import first_point, why_not_first
from hpo.study.folders import study_folder
from hpo.study.plan import StageRequest, StudyPlan
from hpo.study.preparing import PreparedStage, creation, prepare_extension, prepare_more, prepare_new
from model.errors import ConfigError, DataError, UserError


def silent(*_: object) -> None:
    """Progress that nobody watches."""


@pytest.fixture
def environment(small_environment: Environment, tmp_path: Path) -> Environment:
    return replace(small_environment, runs=tmp_path, tracking_uri=f"sqlite:///{tmp_path}/mlflow.db")


def prepared(plan: StudyPlan, environment: Environment, *requests: StageRequest) -> list[PreparedStage]:
    return prepare_new(plan, "new", requests, environment, silent)


def test_name_of_another_study_is_refused_before_anything_is_written(
    small_plan: StudyPlan, environment: Environment
) -> None:
    with Journal.create(study_folder(environment, "new")) as journal:
        journal.append(creation(small_plan, Path("new")))
    with pytest.raises(UserError, match="study 'new' exists already") as refusal:
        prepared(small_plan, environment, StageRequest(name="bayes"))
    assert "--study NEW" in refusal.value.details["fix"]


def test_stages_of_a_whole_procedure_are_planned_at_their_largest(
    small_plan: StudyPlan, environment: Environment
) -> None:
    search, final = prepared(
        small_plan,
        environment,
        StageRequest(name="bayes", options={"trials": 3}),
        StageRequest(name="final", options={"seeds": 4, "epochs": 7}),
    )
    assert search.trials == 3
    assert final.trials == 4 * (2 + 1), "two candidates and the study file's own configuration"
    assert final.plan.study.training.epochs == 7
    assert search.plan.study.training.epochs == 2


def test_final_without_a_test_split_is_refused_before_the_search_runs(
    small_plan: StudyPlan, environment: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(*_: object) -> None:
        raise DataError("there is no test split")

    monkeypatch.setattr(type(small_plan.task), "open_test", missing)
    with pytest.raises(DataError, match="no test split"):
        prepared(small_plan, environment, StageRequest(name="bayes"), StageRequest(name="final"))


def test_stage_that_has_run_is_refused_with_the_command_of_another_study(
    small_plan: StudyPlan, environment: Environment
) -> None:
    state = StudyState.replay([creation(small_plan, Path("old")), StageAsked(stage="final", settings={})])
    with pytest.raises(UserError, match="'old' already has a stage final") as refusal:
        prepare_more(small_plan, [StageRequest(name="final")], state, environment, silent)
    assert "hpo run final --from old --study NEW" in refusal.value.details["fix"]


def test_stage_takes_the_table_of_another_study_file(small_plan: StudyPlan, environment: Environment) -> None:
    table = small_plan.study.stages.named("final").model_dump(mode="json") | {"seeds": 9, "candidates": 1}
    (final,) = prepared(
        small_plan, environment, StageRequest(name="final", table=table, options={"candidates": 3})
    )
    assert final.asked.settings["seeds"] == 9
    assert final.asked.settings["candidates"] == 3, "what is typed wins"


def test_all_missing_tables_are_told_at_once_with_their_keys(small_plan: StudyPlan) -> None:
    stages = small_plan.study.stages.model_copy(update={"bayes": None, "final": None})
    with pytest.raises(ConfigError, match=r"needs \[stages.bayes\] and \[stages.final\]") as refusal:
        stages.require(["bayes", "final", "ablation"])
    assert refusal.value.details["[stages.bayes]"] == "missing (needs trials, space)"


def search_asked(plan: StudyPlan, **known: object) -> StageAsked:
    settings = plan.study.stages.named("bayes").model_dump(mode="json")
    return StageAsked(stage="bayes", settings=settings, known=known)


def with_own_f(plan: StudyPlan, f: int) -> StudyPlan:
    own = plan.study.hyperparameters.model_copy(update={"f": f})
    return replace(plan, study=plan.study.model_copy(update={"hyperparameters": own}))


def test_own_configuration_is_first_if_the_space_has_it(small_plan: StudyPlan) -> None:
    plan = with_own_f(small_plan, 8)
    assert first_point(plan, search_asked(plan)) == {"f": 8}
    assert why_not_first(plan, search_asked(plan)) == ""


def test_own_configuration_outside_of_the_space_is_named(small_plan: StudyPlan) -> None:
    plan = with_own_f(small_plan, 16)
    assert first_point(plan, search_asked(plan)) is None
    assert why_not_first(plan, search_asked(plan)).endswith("outside the space with f = 16")


def test_own_configuration_with_a_known_score_is_not_tried_again(small_plan: StudyPlan) -> None:
    plan = with_own_f(small_plan, 8)
    asked = search_asked(plan, study="older", points=[{"parameters": {"f": 8}, "score": 0.5}])
    assert first_point(plan, asked) is None
    assert why_not_first(plan, asked).endswith("study older has its score")


@pytest.fixture
def searched(small_plan: StudyPlan) -> StudyState:
    """A study whose search of two trials has ended."""
    settings = small_plan.study.stages.named("bayes").model_dump(mode="json")
    space = small_plan.task.varied(small_plan.study, "bayes", small_plan.shape)
    asked = [TrialAsked(trial=f"bayes-{n}", stage="bayes", parameters={"f": n}, seed=4) for n in (2, 3)]
    return StudyState.replay(
        [
            creation(small_plan, Path("old")),
            StageAsked(stage="bayes", settings=settings),
            StageStarted(stage="bayes", space=space, trials=2, epochs=2),
            *asked,
            *(TrialFinished(trial=trial.trial, score=0.5, epoch=2, duration_s=1.0) for trial in asked),
            StageFinished(stage="bayes", best_trial="bayes-2", chosen={"f": 2}),
        ]
    )


def extension(
    plan: StudyPlan, state: StudyState, environment: Environment, **options: object
) -> PreparedStage:
    return prepare_extension(plan, StageRequest(name="bayes", options=options), state, environment, silent)


def test_search_that_has_ended_takes_more_trials(
    small_plan: StudyPlan, searched: StudyState, environment: Environment
) -> None:
    stage = extension(small_plan, searched, environment, trials=5, concurrent=2, epochs=2)
    assert (stage.trials, stage.asked.settings["concurrent"]) == (5, 2)
    assert searched.pending == []
    searched.apply(StageExtended(stage="bayes", settings=dict(stage.asked.settings), trials=5))
    assert searched.pending == ["bayes"] and searched.asked["bayes"].settings["trials"] == 5
    searched.apply(StageFinished(stage="bayes", best_trial="bayes-3", chosen={"f": 3}))
    assert searched.pending == [] and searched.stages["bayes"].chosen == {"f": 3}


@pytest.mark.parametrize(("option", "value"), [("epochs", 3), ("replicates", 2), ("searcher", "random")])
def test_what_would_make_scores_incomparable_cannot_change(
    small_plan: StudyPlan, searched: StudyState, environment: Environment, option: str, value: object
) -> None:
    with pytest.raises(ConfigError, match=f"have {option} = .*, got {value}") as refusal:
        extension(small_plan, searched, environment, trials=5, **{option: value})
    assert "--trials" in refusal.value.details["can_change"]


def test_extension_without_more_trials_is_refused(
    small_plan: StudyPlan, searched: StudyState, environment: Environment
) -> None:
    with pytest.raises(ConfigError, match="has 2 trials of stage bayes already") as refusal:
        extension(small_plan, searched, environment, trials=1)
    assert "hpo run bayes --study old --trials" in refusal.value.details["fix"]
