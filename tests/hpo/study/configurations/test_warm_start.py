"""Scores that a search takes over from another study."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from calf_plan import calf_plan

from hpo.config.environment import Environment
from hpo.config.stages import SearchStage
from hpo.config.study_file import space_of
from hpo.journal.events import (
    StageAsked,
    StageStarted,
    StudyCreated,
    TrialAsked,
    TrialFinished,
    TrialReported,
    TrialStopped,
)
from hpo.journal.journal import Journal
from hpo.study.configurations.first_points import why_not_first
from hpo.study.configurations.warm_start import describe_known, known_scores, scored_points
from hpo.study.folders import study_folder
from hpo.study.plan import StudyPlan
from hpo.tasks.base.versions import code_digest
from model.errors import UserError

GRANDPARENT: dict[str, Any] = {"study": "a", "points": [{"parameters": {"f": 4}, "score": 0.1}]}


def plan_over(
    high: int, *, epochs: int = 3, tables: dict[str, dict[str, object]] | None = None, **search: object
) -> StudyPlan:
    space = {"f": {"type": "int", "low": 4, "high": high}}
    given = {"stages": {"bayes": {"trials": 3, "space": space, **search}}, **(tables or {})}
    return calf_plan({**given, "training": {"epochs": epochs, **given.get("training", {})}})


def write_study(
    environment: Environment,
    plan: StudyPlan,
    *,
    code: str | None = None,
    known: dict[str, Any] = GRANDPARENT,
) -> None:
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
                code_digest=code or code_digest("calf"),
                versions={},
            ),
            StageAsked(stage="bayes", settings=search.model_dump(mode="json"), known=known),
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
    known = known_scores("b", plan, environment)
    assert points(known) == [(4, 0.1), (5, 0.2)]
    assert not any(point.is_related for point in scored_points(known))
    assert describe_known(known) == "the search starts from 2 scores of study b"


def test_space_without_an_unknown_point_is_refused(environment: Environment) -> None:
    plan = plan_over(high=5)
    write_study(environment, plan)
    with pytest.raises(UserError, match="scores of all 2 points of the space"):
        known_scores("b", plan, environment)


def test_stopped_trials_count_with_the_score_that_they_would_reach(
    environment: Environment,
) -> None:
    plan = plan_over(high=9)
    write_study(environment, plan)
    epochs = plan.study.training.epochs
    curves = {"bayes-0002": (0.2, 0.5), "bayes-0003": (0.1, 0.3), "bayes-0004": (0.15, None)}
    with Journal.open(study_folder(environment, "b")) as journal:
        for number, (trial, (early, end)) in enumerate(curves.items()):
            journal.append(TrialAsked(trial=trial, stage="bayes", parameters={"f": 6 + number}, seed=0))
            journal.append(report(trial, 1, early))
            if end is None:
                journal.append(TrialStopped(trial=trial, score=early, epoch=1, duration_s=1.0))
            else:
                journal.append(report(trial, epochs, end))
                journal.append(TrialFinished(trial=trial, score=end, epoch=epochs, duration_s=1.0))
    known = scored_points(known_scores("b", plan, environment))
    by_f = {point.parameters["f"]: point for point in known}
    assert by_f[6].score == 0.5 and by_f[6].variance == 0.0
    assert 0.3 < by_f[8].score < 0.5 and by_f[8].variance > 0.0


def test_scores_of_other_data_and_epochs_are_related_and_no_point_is_taken(environment: Environment) -> None:
    write_study(environment, plan_over(high=5))
    other = replace(plan_over(high=5, epochs=7), data_digest="another")
    known = known_scores("b", other, environment)
    assert all(point.is_related for point in scored_points(known))
    assert describe_known(known).startswith(
        "the search starts from 2 scores of study b, with other data and epochs: used as a prior"
    )


@pytest.mark.parametrize("scoring", [{"tolerances": "tight"}, {"nms_window_s": 20.0}])
def test_scores_with_other_tolerances_or_suppression_are_related(
    environment: Environment, scoring: dict[str, object]
) -> None:
    write_study(environment, plan_over(high=9))
    known = known_scores("b", plan_over(high=9, tables={"scoring": scoring}), environment)
    assert all(point.is_related for point in scored_points(known)) and known["differing"] == ["scoring"]


@pytest.mark.parametrize(
    "tables",
    [
        {"hyperparameters": {"beta": 2.0}},
        {"training": {"learning_rate": 1e-2}},
        {"network": {"predictions": 9}},
        {"zones_s": {"default": (-9.0, -3.0, 3.0, 9.0)}},
    ],
)
def test_scores_with_other_settings_that_no_trial_varies_are_related(
    environment: Environment, tables: dict[str, dict[str, object]]
) -> None:
    write_study(environment, plan_over(high=9))
    plan = plan_over(high=9, tables=tables)
    known = known_scores("b", plan, environment)
    assert all(point.is_related for point in scored_points(known)) and known["differing"] == ["settings"]


def test_own_configuration_is_trained_if_its_score_had_other_settings(environment: Environment) -> None:
    write_study(environment, plan_over(high=9, tables={"hyperparameters": {"f": 5}}))
    for beta, reason in ((0.5, "study b has its score"), (2.0, "")):
        plan = plan_over(high=9, tables={"hyperparameters": {"f": 5, "beta": beta}})
        search = plan.study.stages.named("bayes").model_dump(mode="json")
        asked = StageAsked(stage="bayes", settings=search, known=known_scores("b", plan, environment))
        assert why_not_first(plan, asked).endswith(reason) and bool(why_not_first(plan, asked)) == bool(
            reason
        )


def test_values_that_are_searched_and_limits_of_time_are_no_other_settings(environment: Environment) -> None:
    write_study(environment, plan_over(high=9))
    other = {"hyperparameters": {"f": 7}, "training": {"hangs_after_s": 60.0}}
    assert known_scores("b", plan_over(high=9, tables=other), environment)["differing"] == []


def test_value_where_a_condition_does_not_hold_is_a_setting(environment: Environment) -> None:
    matching = {"type": "choice", "choices": ["one-to-one", "none"]}
    beta = {"type": "float", "low": 0.1, "high": 5.0, "when": {"matching": "one-to-one"}}
    space = {"f": {"type": "int", "low": 4, "high": 9}, "matching": matching, "beta": beta}
    plans = [plan_over(9, tables={"hyperparameters": {"beta": value}}, space=space) for value in (0.5, 2.0)]
    write_study(environment, plans[0])
    assert known_scores("b", plans[0], environment)["differing"] == []
    assert known_scores("b", plans[1], environment)["differing"] == ["settings"]


def test_scores_of_other_code_are_related(environment: Environment) -> None:
    write_study(environment, plan_over(high=9), code="of an earlier version")
    known = known_scores("b", plan_over(high=9), environment)
    assert all(point.is_related for point in scored_points(known))
    assert "with other code: used as a prior" in describe_known(known)


def test_searcher_without_a_prior_refuses_other_epochs(environment: Environment) -> None:
    write_study(environment, plan_over(high=9))
    with pytest.raises(UserError, match=r"searcher random cannot use .*, which has other epochs") as caught:
        known_scores("b", plan_over(high=9, epochs=7, searcher="random"), environment)
    assert caught.value.details["fix"] == "use --searcher botorch, which uses them as a prior"


def test_refusal_names_the_settings_that_differ(environment: Environment) -> None:
    write_study(environment, plan_over(high=9))
    tables = {"hyperparameters": {"beta": 2.0}, "network": {"predictions": 9}}
    with pytest.raises(UserError, match="which has other settings") as caught:
        known_scores("b", plan_over(high=9, tables=tables, searcher="random"), environment)
    assert caught.value.details["settings"] == "hyperparameters.beta = 0.5, here 2.0 (and 1 more)"


def test_related_scores_of_a_study_stay_related_and_are_counted_apart(environment: Environment) -> None:
    related = {**GRANDPARENT, "points": [{**GRANDPARENT["points"][0], "is_related": True}]}
    write_study(environment, plan_over(high=9), known=related)
    known = known_scores("b", plan_over(high=9), environment)
    assert [point.is_related for point in scored_points(known)] == [True, False]
    assert describe_known(known).startswith(
        "the search starts from 1 score of study b, and from 1 score of its warm start: used as a prior"
    )
    with pytest.raises(UserError, match="of which 1 come from a warm start with other data or settings"):
        known_scores("b", plan_over(high=9, searcher="random"), environment)


def report(trial: str, epoch: int, score: float) -> TrialReported:
    return TrialReported(trial=trial, epoch=epoch, metrics={"average_map": score}, train_s=1.0)


def test_other_spaces_are_refused_with_what_makes_them_equal(environment: Environment) -> None:
    write_study(environment, plan_over(8))
    with pytest.raises(UserError, match="the spaces differ") as refused:
        known_scores("b", plan_over(9), environment)
    assert "with --space, or leave" in str(refused.value.details["fix"])
    other = calf_plan(
        {"stages": {"bayes": {"trials": 3, "space": {"beta": {"type": "float", "low": 0.1, "high": 1.0}}}}}
    )
    with pytest.raises(UserError, match="the spaces differ") as refused:
        known_scores("b", other, environment)
    assert "in a study file, or leave" in str(refused.value.details["fix"])
