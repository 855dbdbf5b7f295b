from datetime import UTC, datetime

import pytest

from hpo.journal.events import StageStarted, StudyCreated, TrialAsked, TrialFailed, TrialFinished
from hpo.journal.results import StudyState
from hpo.space.parameters import FloatParameter
from hpo.space.space import Space
from hpo.study.results import stage_importance

SPACE = Space([FloatParameter("alpha2", 0.0, 1.0), FloatParameter("beta", 0.0, 1.0)])


def state_after(points: int, *, replicates: int = 1) -> StudyState:
    """A search in which only alpha2 matters, and the seed a little."""
    created = StudyCreated(
        study="s", plan={"study": {"task": "calf"}}, seed=4, data_digest="", code_digest="", versions={}
    )
    state = StudyState(created=created, versions={}, updated_at=datetime.now(UTC))
    state.apply(StageStarted(stage="bayes", space=SPACE.describe(), trials=points))
    for number in range(points):
        parameters = {"alpha2": number / points, "beta": (number * 7 % points) / points}
        for replicate in range(replicates):
            name = f"bayes-{number}-{replicate}"
            state.apply(TrialAsked(trial=name, stage="bayes", parameters=parameters, seed=replicate))
            score = parameters["alpha2"] + (0.25 if replicate else -0.25) * (replicates > 1)
            state.apply(TrialFinished(trial=name, score=score, epoch=1, duration_s=1.0))
    return state


def test_parameter_that_the_scores_follow_has_most_of_the_importance() -> None:
    shares = stage_importance(state_after(32), "bayes")
    assert list(shares) == ["alpha2", "beta"]
    assert shares["alpha2"] > 0.8
    assert sum(shares.values()) == pytest.approx(1.0)


def test_point_with_several_seeds_counts_once_by_their_mean() -> None:
    several = stage_importance(state_after(32, replicates=2), "bayes")
    assert several == stage_importance(state_after(32), "bayes")


def test_failed_trials_other_stages_and_few_trials_have_none() -> None:
    state = state_after(4)
    state.apply(TrialAsked(trial="bad", stage="bayes", parameters={"alpha2": 0.0, "beta": 0.0}, seed=0))
    state.apply(TrialFailed(trial="bad", reason="loss is NaN"))
    assert stage_importance(state, "bayes") == {}
    assert stage_importance(state, "final") == {}
