"""Checks before a stage starts, which --dry-run makes too."""

from dataclasses import replace
from pathlib import Path

import pytest

from hpo.config.environment import Environment
from hpo.config.point_file import TypedPoints
from hpo.config.study_file import first_points, space_of
from hpo.journal.events import (
    BudgetSet,
    GainEstimated,
    StageAsked,
    StageExtended,
    StageFinished,
    StageStarted,
    TrialAsked,
    TrialFinished,
)
from hpo.journal.results import StudyState
from hpo.journal.stage_state import UNLIKELY
from hpo.programs.program import Proposal
from hpo.study import plan as plan_settings
from hpo.study.configurations.first_points import first_points_of, why_not_first
from hpo.study.estimate import Estimate
from hpo.study.plan import StageRequest, StudyPlan
from hpo.study.running.outline import StageOutline, plan_text
from hpo.study.running.preparing import PreparedStage, creation, prepare_more, prepare_new
from hpo.study.running.stage import program_of
from hpo.tasks.base.task import TrialTime
from model.errors import ConfigError, DataError, UserError


def silent(*_: object) -> None:
    """Progress that nobody watches."""


def prepared(plan: StudyPlan, environment: Environment, *requests: StageRequest) -> list[PreparedStage]:
    return prepare_new(plan, "new", requests, environment, silent)


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
    asked = [creation(small_plan, Path("old")), StageAsked(stage="final", settings={})]
    with pytest.raises(UserError, match="stage final of study 'old' is not finished") as refusal:
        prepare_more(small_plan, [StageRequest(name="final")], StudyState.replay(asked), environment, silent)
    assert refusal.value.details["fix"] == "continue it with hpo resume old"
    ended = [StageStarted(stage="final", space={}, trials=0), StageFinished(stage="final", best_trial="")]
    state = StudyState.replay([*asked, *ended])
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


def search_asked(plan: StudyPlan, **known: object) -> StageAsked:
    settings = plan.study.stages.named("bayes").model_dump(mode="json")
    return StageAsked(stage="bayes", settings=settings, known=known)


def with_own_f(plan: StudyPlan, f: int) -> StudyPlan:
    own = plan.study.hyperparameters.model_copy(update={"f": f})
    return replace(plan, study=plan.study.model_copy(update={"hyperparameters": own}))


def test_own_configuration_is_first_if_the_space_has_it(small_plan: StudyPlan) -> None:
    plan = with_own_f(small_plan, 8)
    (own,) = first_points_of(plan, search_asked(plan))
    assert (own.parameters, own.why_not) == ({"f": 8}, "")
    assert why_not_first(plan, search_asked(plan)) == ""


def test_own_configuration_outside_of_the_space_is_named(small_plan: StudyPlan) -> None:
    plan = with_own_f(small_plan, 16)
    assert why_not_first(plan, search_asked(plan)).endswith("outside the space with f = 16")


def test_own_configuration_with_a_known_score_is_not_tried_again(small_plan: StudyPlan) -> None:
    plan = with_own_f(small_plan, 8)
    asked = search_asked(plan, study="older", points=[{"parameters": {"f": 8}, "score": 0.5}])
    assert why_not_first(plan, asked).endswith("study older has its score")


def extension(
    plan: StudyPlan, state: StudyState, environment: Environment, **options: object
) -> PreparedStage:
    return prepare_more(plan, [StageRequest(name="bayes", options=options)], state, environment, silent)[0]


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
    assert refusal.value.details["fix"].endswith("hpo run bayes --study old --trials 12")


def test_space_that_is_used_up_needs_no_more_trials_but_more_room(
    small_plan: StudyPlan, searched: StudyState, environment: Environment
) -> None:
    with pytest.raises(ConfigError, match="has tried all 2 points of its space") as refusal:
        widened(small_plan, searched, environment, "f=2..3", trials=5)
    assert "--space" in refusal.value.details["fix"] and "--trials" not in refusal.value.details["fix"]


def test_points_of_a_warm_start_are_not_planned_and_use_the_space_up_too(
    small_plan: StudyPlan, searched: StudyState, environment: Environment
) -> None:
    points = [{"parameters": {"f": f}, "score": 0.5} for f in (4, 5)]
    searched.asked["bayes"] = replace(searched.asked["bayes"], known={"study": "older", "points": points})
    assert widened(small_plan, searched, environment, "f=2..6", trials=5).trials == 3
    with pytest.raises(ConfigError, match="tried all 2 points of its space that it did not know"):
        widened(small_plan, searched, environment, "f=2..5", trials=5)


def raced(plan: StudyPlan, searched: StudyState) -> None:
    """Make ``searched`` a race for three seeds, in which one of its two configurations got two."""
    settings = {**searched.asked["bayes"].settings, "trials": 2, "replicates": 3, "scheduler": "asha"}
    again = TrialAsked(trial="bayes-4", stage="bayes", parameters={"f": 2}, seed=5, replicate=1)
    searched.apply(StageExtended(stage="bayes", settings=settings, trials=6))
    searched.apply(again)
    searched.apply(TrialFinished(trial="bayes-4", score=0.5, epoch=2, duration_s=1.0))
    searched.apply(StageFinished(stage="bayes", best_trial="bayes-2", chosen={"f": 2}))


def test_race_that_has_ended_is_not_extended_by_seeds_that_it_does_not_give(
    small_plan: StudyPlan, searched: StudyState, environment: Environment
) -> None:
    raced(small_plan, searched)
    with pytest.raises(ConfigError, match="has 3 trials of stage bayes already, and none would be added"):
        extension(small_plan, searched, environment, trials=2)
    assert extension(small_plan, searched, environment, trials=3).trials == 9
    with pytest.raises(ConfigError, match="has tried all 2 points of its space"):
        widened(small_plan, searched, environment, "f=2..3", trials=9)


def test_seeds_count_for_no_configuration_where_own_points_need_room(
    small_plan: StudyPlan, searched: StudyState, environment: Environment
) -> None:
    raced(small_plan, searched)
    request = StageRequest(name="bayes", tried=tried({"f": 4}, {"f": 5}), options={"trials": 4})
    assert prepare_more(small_plan, [request], searched, environment, silent)[0].trials == 12
    request = replace(request, options={"trials": 3})
    with pytest.raises(ConfigError, match="the search has 1 configuration left"):
        prepare_more(small_plan, [request], searched, environment, silent)[0]


def tried(*rows: dict[str, object]) -> TypedPoints:
    return TypedPoints(source="mine.csv", rows=rows)


def test_own_points_come_after_the_study_files_own_and_stay_in_the_journal(
    small_plan: StudyPlan, environment: Environment
) -> None:
    plan = with_own_f(small_plan, 8)
    request = StageRequest(name="bayes", tried=tried({"f": 5}, {"f": 8}), options={"trials": 3})
    (stage,) = prepared(plan, environment, request)
    assert [(point.source, point.why_not) for point in stage.first] == [
        ("study file", ""),
        ("try 1", ""),
        ("try 2", "same as study file"),
    ]
    assert stage.asked.settings["try"] == [{"f": 5}, {"f": 8}]
    search = stage.plan.study.stages.named("bayes")
    assert first_points(stage.plan.study, search)[:2] == [{"f": 8}, {"f": 5}]


def test_study_file_may_leave_its_own_configuration_out(
    small_plan: StudyPlan, environment: Environment
) -> None:
    request = StageRequest(name="bayes", tried=tried({"f": 5}), options={"own_first": False})
    (stage,) = prepared(with_own_f(small_plan, 8), environment, request)
    assert [point.source for point in stage.first] == ["try 1"]
    assert first_points(stage.plan.study, stage.plan.study.stages.named("bayes")) == [{"f": 5}]


def test_more_points_than_trials_are_refused(small_plan: StudyPlan, environment: Environment) -> None:
    request = StageRequest(name="bayes", tried=tried({"f": 5}, {"f": 6}), options={"trials": 2})
    with pytest.raises(ConfigError, match="3 points are to be tried first") as refusal:
        prepared(with_own_f(small_plan, 8), environment, request)
    assert "--trials 3" in refusal.value.details["fix"]


def test_points_of_the_table_are_refused_by_row(small_plan: StudyPlan, environment: Environment) -> None:
    request = StageRequest(name="bayes", options={"try": [{"f": 5}, {"f": 99}]})
    with pytest.raises(ConfigError, match="f = 99 lies outside the space") as refusal:
        prepared(small_plan, environment, request)
    assert refusal.value.details["file"] == "stages.bayes.try of the study file, row 2"


def test_search_that_has_ended_takes_own_points_and_as_many_trials(
    small_plan: StudyPlan, searched: StudyState, environment: Environment
) -> None:
    request = StageRequest(name="bayes", tried=tried({"f": 3}, {"f": 4}))
    plan = with_own_f(small_plan, 3)
    stage = prepare_more(plan, [request], searched, environment, silent)[0]
    assert stage.trials == stage.asked.settings["trials"] == 3, "of two points to try, one is new"
    assert [(point.source, point.why_not) for point in stage.first] == [
        ("study file", "tried already"),
        ("try 1", "tried already"),
        ("try 2", ""),
    ]


def widened(
    plan: StudyPlan, state: StudyState, environment: Environment, *bounds: str, **options: object
) -> PreparedStage:
    request = StageRequest(name="bayes", bounds=bounds, options=options)
    return prepare_more(plan, [request], state, environment, silent)[0]


def test_search_continues_in_a_wider_space_with_all_that_it_knows(
    small_plan: StudyPlan, searched: StudyState, environment: Environment
) -> None:
    stage = widened(small_plan, searched, environment, "f=2..40", trials=5)
    space = space_of(stage.plan.study.stages.named("bayes"))
    assert stage.trials == 5 and space.contains({"f": 40})
    settings = dict(stage.asked.settings)
    searched.apply(StageExtended(stage="bayes", settings=settings, trials=5, space=space.describe()))
    assert searched.stages["bayes"].space == space.describe()
    program = program_of(stage.plan, "bayes", searched, Path("old"))
    proposal = program.next(searched.trials_of("bayes"))
    assert isinstance(proposal, Proposal) and space.contains(proposal.parameters)
    assert proposal.parameters not in ({"f": 2}, {"f": 3})


def test_study_file_that_says_nothing_new_keeps_a_space_that_was_typed(
    small_plan: StudyPlan, searched: StudyState, environment: Environment
) -> None:
    wider = widened(small_plan, searched, environment, "f=2..40", trials=5)
    space = space_of(wider.plan.study.stages.named("bayes")).describe()
    settings = dict(wider.asked.settings)
    searched.apply(StageExtended(stage="bayes", settings=settings, trials=5, space=space))
    table = small_plan.study.stages.named("bayes").model_dump(mode="json")
    request = StageRequest(name="bayes", table=table, options={"trials": 6})
    more = prepare_more(small_plan, [request], searched, environment, silent)[0]
    assert space_of(more.plan.study.stages.named("bayes")).describe() == space


def test_study_file_decides_on_options_that_were_not_typed(
    small_plan: StudyPlan, searched: StudyState, environment: Environment
) -> None:
    table = small_plan.study.stages.named("bayes").model_dump(mode="json")
    options = {"trials": None, "searcher": None}
    request = StageRequest(name="bayes", table={**table, "trials": 7}, options=options)
    assert prepare_more(small_plan, [request], searched, environment, silent)[0].trials == 7
    request = replace(request, table={**table, "trials": 7, "searcher": "random"})
    with pytest.raises(ConfigError, match=r"have searcher = .*, got random"):
        prepare_more(small_plan, [request], searched, environment, silent)[0]


def test_ended_search_gets_more_configurations_in_a_wider_space_without_a_number(
    small_plan: StudyPlan, searched: StudyState, environment: Environment
) -> None:
    ran = len(searched.trials_of("bayes"))
    planned = {**searched.asked["bayes"].settings, "trials": 30}  # of which the rule spared most
    searched.apply(StageExtended(stage="bayes", settings=planned, trials=30))
    searched.apply(StageFinished(stage="bayes", best_trial="bayes-3", chosen={"f": 3}))
    assert widened(small_plan, searched, environment, "f=2..40").trials == ran + 10


def test_search_that_ended_as_unlikely_goes_on_only_without_that_rule(
    small_plan: StudyPlan, searched: StudyState, environment: Environment
) -> None:
    settings = {**searched.asked["bayes"].settings, "stop_when": "unlikely"}
    searched.apply(StageExtended(stage="bayes", settings={**settings, "trials": 30}, trials=30))
    for proposed in range(2, 2 + UNLIKELY):
        searched.apply(GainEstimated(stage="bayes", proposed=proposed, trials=10, gain=0.01, noise=0.03))
    searched.apply(StageFinished(stage="bayes", best_trial="bayes-3", chosen={"f": 3}))
    with pytest.raises(ConfigError, match="has ended its search: further trials are unlikely") as refusal:
        extension(small_plan, searched, environment, stop_when="unlikely", concurrent=3)
    assert refusal.value.details["fix"].endswith("hpo run bayes --study old --stop-when never")
    request = StageRequest(name="bayes", tried=tried({"f": 2}))
    with pytest.raises(ConfigError, match="has ended its search"):
        prepare_more(small_plan, [request], searched, environment, silent)[0]
    assert extension(small_plan, searched, environment, stop_when="never").trials > 2


def test_space_without_a_known_point_is_refused(
    small_plan: StudyPlan, searched: StudyState, environment: Environment
) -> None:
    with pytest.raises(ConfigError, match="study 'old' knows: bayes-2 has f = 2") as refusal:
        widened(small_plan, searched, environment, "f=3..40")
    assert refusal.value.details["got"].startswith("f whole numbers 3 to 40")


def test_space_of_other_hyperparameters_is_refused(
    small_plan: StudyPlan, searched: StudyState, environment: Environment
) -> None:
    table = small_plan.study.stages.named("bayes").model_dump(mode="json")
    table["space"]["alpha2"] = {"type": "float", "low": 1, "high": 9}
    request = StageRequest(name="bayes", table=table)
    with pytest.raises(ConfigError, match="bayes-2 has other hyperparameters"):
        prepare_more(small_plan, [request], searched, environment, silent)[0]


def test_bounds_that_cannot_be_trained_are_refused(small_plan: StudyPlan, environment: Environment) -> None:
    request = StageRequest(name="bayes", bounds=["f=-3..8"])
    with pytest.raises(ConfigError) as refusal:
        prepared(small_plan, environment, request)
    assert "stages.bayes.space.f" in refusal.value.details


def test_dry_run_shows_the_budget_and_how_many_trials_fit(
    small_plan: StudyPlan, environment: Environment
) -> None:
    requests = [
        StageRequest(name="bayes", options={"trials": 8, "hours": 0.01}),
        StageRequest(name="final", options={"seeds": 2}),
    ]
    stages = prepare_new(small_plan, "new", requests, environment, silent)
    time = Estimate(TrialTime(trial_s=9.5, speed="fast", work="a lot"), 5000.0)
    lines = plan_text(small_plan, "new", [StageOutline(stage=s, estimate=time) for s in stages]).splitlines()
    assert [line for line in lines if "budget" in line] == [
        "  budget    0.01 h for stage bayes: 36 s for this stage, about 2 of its 8 trials fit"
    ]
    stages = prepare_new(small_plan, "new", requests, environment, silent, budget=BudgetSet(hours=1.4))
    lines = plan_text(small_plan, "new", [StageOutline(stage=s, estimate=time) for s in stages]).splitlines()
    assert [line for line in lines if "budget" in line] == [
        "  budget    1.4 h: 1 h 24 min for this stage, about 8 of its 8 trials fit",
        "  budget    1.4 h: 40 s for this stage, about 2 of its 6 trials fit",
    ]


@pytest.mark.parametrize(("concurrent", "is_noted"), [(4, False), ("auto", True)])
def test_note_on_trials_at_a_time_is_of_measurements_only(
    small_plan: StudyPlan,
    environment: Environment,
    monkeypatch: pytest.MonkeyPatch,
    concurrent: object,
    is_noted: bool,
) -> None:
    monkeypatch.setattr(plan_settings, "parallel_settings", lambda *_: {"concurrent": 3, "array": 2})
    table = {**small_plan.study.stages.named("bayes").model_dump(mode="json"), "concurrent": concurrent}
    on_gpu = replace(small_plan.with_stage("bayes", table), device="cuda")
    request = StageRequest(name="bayes", options={"trials": 2, "concurrent": None, "array": None})
    (stage,) = prepared(on_gpu, environment, request)
    note = "stage bayes: 3 trials at a time, 2 in one process; --concurrent N overrides it"
    assert stage.note == (note if is_noted else "")
