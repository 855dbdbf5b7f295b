"""Start of a study: names that are refused, and starts that fail."""

import errno
import os

import pytest

from hpo.config.environment import Environment
from hpo.journal.events import StageStarted, TrialAsked, TrialFinished
from hpo.journal.journal import Journal
from hpo.journal.results import StudyState, stored_state
from hpo.study.folders import known_studies, study_folder
from hpo.study.plan import StageRequest, StudyPlan
from hpo.study.running import pending_stages, preparing, session
from model.errors import StorageError, UserError


def silent(*_: object) -> None:
    """Progress that nobody watches."""


def test_name_of_another_study_is_refused_before_anything_is_written(
    small_plan: StudyPlan, environment: Environment
) -> None:
    with Journal.create(study_folder(environment, "new")) as journal:
        journal.append(preparing.creation(small_plan, study_folder(environment, "new")))
    with pytest.raises(UserError, match="study 'new' exists already") as refusal:
        preparing.prepare_new(small_plan, "new", [StageRequest(name="bayes")], environment, silent)
    assert "--study NEW" in refusal.value.details["fix"]


def test_new_study_has_a_name_that_commands_can_be_typed_with(
    small_plan: StudyPlan, environment: Environment
) -> None:
    with pytest.raises(UserError, match=r"without a hyphen at its start .* got '-x'"):
        preparing.prepare_new(small_plan, "-x", [StageRequest(name="bayes")], environment, silent)


def test_study_that_cannot_start_leaves_nothing(
    small_plan: StudyPlan, environment: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> None:
        raise UserError("Ray cannot start")

    monkeypatch.setattr(pending_stages, "_finish_stages", fails)
    stages = preparing.prepare_new(small_plan, "new", [StageRequest(name="bayes")], environment, silent)
    with pytest.raises(UserError, match="Ray cannot start"):
        session.start_study(small_plan, "new", stages, environment, silent)
    assert known_studies(environment) == []
    assert not study_folder(environment, "new").exists()


def test_usual_name_that_cannot_be_typed_is_refused_with_the_option_that_names_the_study(
    small_plan: StudyPlan, environment: Environment
) -> None:
    with pytest.raises(UserError, match="with printable characters only") as refused:
        preparing.prepare_new(small_plan, "caf\udce9", [StageRequest(name="bayes")], environment, silent)
    assert refused.value.details["fix"] == "choose another name with --study NEW"


def test_study_that_cannot_start_is_deleted_in_mlflow_too(
    small_plan: StudyPlan, environment: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[str] = []
    deleted: list[str] = []

    def fails(plan: StudyPlan, journal: Journal, state: StudyState, *_: object) -> None:
        begun.append(state.created.identity)
        raise UserError("Ray cannot start")

    monkeypatch.setattr(pending_stages, "_finish_stages", fails)
    monkeypatch.setattr("hpo.tracking.follower.Follower.start", lambda follower: follower)
    monkeypatch.setattr(session, "delete_experiment", lambda environment, identity: deleted.append(identity))
    stages = preparing.prepare_new(small_plan, "new", [StageRequest(name="bayes")], environment, silent)
    with pytest.raises(UserError, match="Ray cannot start"):
        session.start_study(small_plan, "new", stages, environment, silent)
    assert deleted == begun != []


def test_study_whose_first_session_fails_after_a_trial_is_kept_and_can_be_resumed(
    small_plan: StudyPlan, environment: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = study_folder(environment, "new")
    trained = [
        StageStarted(stage="bayes", space={}, trials=2),
        TrialAsked(trial="bayes-0001", stage="bayes", parameters={"f": 3}, seed=4),
        TrialFinished(trial="bayes-0001", score=0.5, epoch=2, duration_s=1.0),
    ]

    def fails(plan: StudyPlan, journal: Journal, state: StudyState, *_: object) -> None:
        pending_stages.record(journal, state, trained)
        raise StorageError("the disk is full", fix="make room, then hpo resume new")

    monkeypatch.setattr(pending_stages, "_finish_stages", fails)
    monkeypatch.setattr("hpo.tracking.follower.Follower.start", lambda follower: follower)
    monkeypatch.setattr(session, "delete_experiment", lambda *_: pytest.fail("the study has a trial"))
    stages = preparing.prepare_new(small_plan, "new", [StageRequest(name="bayes")], environment, silent)
    with pytest.raises(StorageError, match="the disk is full") as caught:
        session.start_study(small_plan, "new", stages, environment, silent)
    assert caught.value.details["fix"] == "make room, then hpo resume new"
    assert known_studies(environment) == ["new"]
    assert stored_state(folder).trials["bayes-0001"].score == 0.5


def test_study_without_room_for_its_first_events_leaves_nothing_and_advises_to_repeat_the_command(
    small_plan: StudyPlan, environment: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(descriptor: int, line: bytes) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    stages = preparing.prepare_new(small_plan, "new", [StageRequest(name="bayes")], environment, silent)
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", full)
        with pytest.raises(StorageError, match="No space left on device") as caught:
            session.start_study(small_plan, "new", stages, environment, silent)
    assert caught.value.details["fix"] == "make room, then repeat the command"
    assert not study_folder(environment, "new").exists()


def test_follower_of_mlflow_ends_also_when_the_end_of_the_session_cannot_be_written(
    small_plan: StudyPlan, environment: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed: list[float] = []

    def full(*_: object) -> None:
        raise StorageError("No space left on device")

    monkeypatch.setattr(pending_stages, "_finish_stages", full)
    monkeypatch.setattr(pending_stages, "record", full)
    monkeypatch.setattr(pending_stages.Follower, "start", lambda follower: follower)
    monkeypatch.setattr(pending_stages.Follower, "close", lambda follower, drain_s: closed.append(drain_s))
    monkeypatch.setattr(session, "delete_experiment", lambda *_: None)
    stages = preparing.prepare_new(small_plan, "new", [StageRequest(name="bayes")], environment, silent)
    with pytest.raises(StorageError, match="No space left"):
        session.start_study(small_plan, "new", stages, environment, silent)
    assert closed == [0.0]


def test_search_that_a_study_did_not_have_starts_with_its_note(
    small_plan: StudyPlan, environment: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Journal.create(study_folder(environment, "new")) as journal:
        journal.append(preparing.creation(small_plan, study_folder(environment, "new")))
    monkeypatch.setattr(preparing, "_together", lambda *_: "3 trials at a time")
    monkeypatch.setattr(session, "run_pending_stages", lambda *_: None)
    session.continue_study("new", [StageRequest(name="bayes")], environment, silent, silent)
    state = stored_state(study_folder(environment, "new"))
    assert state.pending == ["bayes"] and state.notes == ["3 trials at a time"]
