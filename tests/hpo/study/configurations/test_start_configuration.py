"""Configurations that stages start from and compare: they stay while the search before them goes on."""

from contextlib import nullcontext

import pytest

from hpo.config.environment import Environment
from hpo.journal.events import StageAsked, StageFinished, StageStarted, TrialAsked, TrialFinished
from hpo.journal.journal import Journal
from hpo.journal.results import stored_state
from hpo.study.configurations.finalists import OWN, chosen_finalists
from hpo.study.configurations.start_configuration import starting_configuration
from hpo.study.folders import study_folder
from hpo.study.plan import StageRequest, StudyPlan
from hpo.study.running import pending_stages, session, stage
from hpo.study.running.preparing import creation
from hpo.study.running.runner import StageRunner
from hpo.trial.report import Report
from hpo.trial.specification import TrialSpec
from model.errors import UserError


def silent(*_: object) -> None:
    """Progress that nobody watches."""


@pytest.fixture
def environment(small_plan: StudyPlan, environment: Environment) -> Environment:
    """Environment with a study ``s`` that has proposed a trial."""
    folder = study_folder(environment, "s")
    with Journal.create(folder) as journal:
        journal.append(creation(small_plan, folder))
        journal.append(StageStarted(stage="bayes", space={}, trials=2))
        journal.append(TrialAsked(trial="bayes-0001", stage="bayes", parameters={"f": 5}, seed=4))
    return environment


def test_stage_starts_from_the_configuration_of_a_trial(
    small_plan: StudyPlan, environment: Environment
) -> None:
    found = starting_configuration("s/bayes-0001", small_plan, environment)
    assert found == {**small_plan.own_configuration(), "f": 5}


def test_trial_that_does_not_exist_is_named(small_plan: StudyPlan, environment: Environment) -> None:
    with pytest.raises(UserError, match="study 's' has no trial 'bayes-0009'"):
        starting_configuration("s/bayes-0009", small_plan, environment)


def test_study_that_has_found_nothing_is_refused(small_plan: StudyPlan, environment: Environment) -> None:
    with pytest.raises(UserError, match="study 's' has found no configuration"):
        starting_configuration("s", small_plan, environment)


@pytest.mark.parametrize(("candidates", "roles"), [(1, ["bayes-0001"]), (2, ["bayes-0001", "bayes-0003"])])
def test_study_file_s_configuration_among_the_best_takes_no_place_of_a_found_one(
    small_plan: StudyPlan, environment: Environment, candidates: int, roles: list[str]
) -> None:
    own = small_plan.own_configuration()
    with Journal.open(study_folder(environment, "s")) as journal:
        journal.append(TrialFinished(trial="bayes-0001", score=0.4, epoch=1, duration_s=1.0))
        for trial, f, score in (("bayes-0002", own["f"], 0.5), ("bayes-0003", 4, 0.3)):
            journal.append(TrialAsked(trial=trial, stage="bayes", parameters={"f": f}, seed=4))
            journal.append(TrialFinished(trial=trial, score=score, epoch=1, duration_s=1.0))
    plan = small_plan.with_stage("final", {"candidates": candidates})
    state = stored_state(study_folder(environment, "s"))
    assert list(chosen_finalists(plan, "final", own, state)) == [OWN, *roles]
    found = chosen_finalists(plan, "final", {**own, "f": 5}, state)
    assert list(found) == [OWN, "found", *roles[1:]]


def trains(monkeypatch: pytest.MonkeyPatch, most: int) -> None:
    """Let sessions end ``most`` trials with scores that rise with f, and then stop."""

    def train(source: StageRunner, *_: object, **__: object) -> None:
        for _trial in range(most):
            spec = source.next_spec()
            if not isinstance(spec, TrialSpec):
                return
            score = float(source.state.trials[spec.trial].parameters["f"]) / 100
            source.started(spec.trial)
            source.reported(spec.trial, Report(1, {"average_map": score}, 1.0, score))
            source.finished(spec.trial)

    monkeypatch.setattr(stage, "run_trials", train)
    monkeypatch.setattr(stage, "_score_on_test_split", silent)
    monkeypatch.setattr(pending_stages, "ray_session", lambda **_: nullcontext())
    monkeypatch.setattr(pending_stages.Follower, "start", lambda follower: follower)


@pytest.mark.parametrize(("seeds", "before"), [(3, 1), ("until decided", 4)])
def test_final_keeps_its_configurations_when_the_search_gets_more_trials(
    small_plan: StudyPlan,
    environment: Environment,
    monkeypatch: pytest.MonkeyPatch,
    seeds: object,
    before: int,
) -> None:
    settings = small_plan.study.stages.named("bayes").model_dump(mode="json")
    chosen = {**small_plan.own_configuration(), "f": 5}
    with Journal.open(study_folder(environment, "s")) as journal:
        for event in (
            StageAsked(stage="bayes", settings=settings),
            TrialFinished(trial="bayes-0001", score=0.5, epoch=1, duration_s=1.0),
            TrialAsked(trial="bayes-0002", stage="bayes", parameters={"f": 4}, seed=4),
            TrialFinished(trial="bayes-0002", score=0.04, epoch=1, duration_s=1.0),
            StageFinished(stage="bayes", best_trial="bayes-0001", chosen=chosen),
        ):
            journal.append(event)
    trains(monkeypatch, before)
    final = StageRequest(name="final", options={"seeds": seeds, "most_seeds": 3})
    end = session.continue_study("s", [final], environment, silent, silent)
    assert end.ending is pending_stages.Ending.INTERRUPTED
    trains(monkeypatch, 99)
    better = StageRequest(name="bayes", options={"try": [{"f": 9}], "trials": 3})
    end = session.continue_study("s", [better], environment, silent, silent)
    assert end.ending is pending_stages.Ending.COMPLETE
    assert end.state.trials["bayes-0003"].parameters == {"f": 9}
    trained = [(trial.role, trial.parameters["f"]) for trial in end.state.trials_of("final")]
    assert trained == [("study file", 16), ("found", 5), ("bayes-0002", 4)] * 3
