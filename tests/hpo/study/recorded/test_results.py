from datetime import UTC, datetime
from pathlib import Path

import pytest

from hpo.journal.events import (
    StageStarted,
    StudyCreated,
    TrialAsked,
    TrialFailed,
    TrialFinished,
    TrialReported,
    TrialStopped,
)
from hpo.journal.results import StudyState
from hpo.search.searcher import ScoredPoint
from hpo.space.parameters import FloatParameter
from hpo.space.space import Space
from hpo.study.recorded.results import stage_importance
from hpo.tasks.base.found import estimated_scores

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


def test_parameter_that_the_scores_follow_has_most_of_the_importance(tmp_path: Path) -> None:
    shares = stage_importance(state_after(32), "bayes", tmp_path)
    assert list(shares) == ["alpha2", "beta"]
    assert shares["alpha2"] > 0.8
    assert sum(shares.values()) == pytest.approx(1.0)


def test_point_with_several_seeds_counts_once_by_their_mean(tmp_path: Path) -> None:
    several = stage_importance(state_after(32, replicates=2), "bayes", tmp_path / "none")
    assert several == stage_importance(state_after(32), "bayes", tmp_path)


def test_trials_that_were_stopped_early_count_with_the_score_that_they_are_expected_to_reach() -> None:
    state = state_after(0)
    for name, early, end in (("a", 0.2, 0.5), ("b", 0.1, 0.3), ("c", 0.15, None), ("d", 0.02, None)):
        state.apply(TrialAsked(trial=name, stage="bayes", parameters={"alpha2": early, "beta": 0.0}, seed=0))
        state.apply(TrialReported(trial=name, epoch=1, metrics={"average_map": early}, train_s=1.0))
        if end is None:
            state.apply(TrialStopped(trial=name, score=early, epoch=1, duration_s=1.0))
        else:
            state.apply(TrialReported(trial=name, epoch=2, metrics={"average_map": end}, train_s=1.0))
            state.apply(TrialFinished(trial=name, score=end, epoch=2, duration_s=1.0))
    scores = estimated_scores(state, "bayes")
    assert list(scores) == ["a", "b", "c", "d"]
    assert scores["a"] == 0.5 and scores["b"] == 0.3
    assert 0.02 < scores["d"] < 0.3 < scores["c"] < 0.5


def test_failed_trials_other_stages_and_few_trials_have_none(tmp_path: Path) -> None:
    state = state_after(4)
    state.apply(TrialAsked(trial="bad", stage="bayes", parameters={"alpha2": 0.0, "beta": 0.0}, seed=0))
    state.apply(TrialFailed(trial="bad", reason="loss is NaN"))
    assert stage_importance(state, "bayes", tmp_path) == {}
    assert stage_importance(state, "final", tmp_path) == {}


def computed_for(monkeypatch: pytest.MonkeyPatch, folder: Path, states: list[StudyState]) -> list[int]:
    """The number of points of each computation, when the importance of ``states`` is asked for in turn."""
    computed: list[int] = []

    def compute(space: Space, scored: list[ScoredPoint], *, seed: int) -> dict[str, float]:
        computed.append(len(scored))
        return {"alpha2": 0.75, "beta": 0.25}

    monkeypatch.setattr("hpo.study.recorded.results.importance", compute)
    for state in states:
        assert stage_importance(state, "bayes", folder) == {"alpha2": 0.75, "beta": 0.25}
    return computed


def test_importance_of_the_same_scores_is_computed_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert computed_for(monkeypatch, tmp_path, [state_after(8), state_after(8)]) == [8]


def test_importance_is_computed_again_after_another_trial(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert computed_for(monkeypatch, tmp_path, [state_after(8), state_after(9)]) == [8, 9]


@pytest.mark.parametrize("content", [b"", b"[]", b'{"basis": 1}', b"\xff"])
def test_damaged_file_of_the_importance_is_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes
) -> None:
    (tmp_path / "importance.json").write_bytes(content)
    assert computed_for(monkeypatch, tmp_path, [state_after(8), state_after(8)]) == [8]


def test_importance_is_shown_where_it_cannot_be_stored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert computed_for(monkeypatch, tmp_path / "missing", [state_after(8)]) == [8]
