import pytest

from hpo.config.environment import Environment
from hpo.journal.events import StageStarted, TrialAsked
from hpo.journal.journal import Journal
from hpo.study.folders import study_folder
from hpo.study.plan import StudyPlan
from hpo.study.preparing import creation
from hpo.study.start_configuration import starting_configuration
from model.errors import UserError


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
