"""Resume and fork, without training: what a changed world is allowed to do to a study."""

import shutil
import socket
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hpo.config.environment import Environment
from hpo.journal.events import (
    DataMoved,
    Noticed,
    StageAsked,
    StageFinished,
    StageStarted,
    StudyCreated,
    StudyInterrupted,
    StudyRenamed,
    StudyResumed,
    TrialAsked,
    TrialFailed,
    TrialFinished,
    TrialStarted,
)
from hpo.journal.journal import Journal, read_journal, stored_events
from hpo.journal.results import StudyState, stored_state
from hpo.schedule.local_ray import WorkersLostError
from hpo.study import reopening
from hpo.study.folders import known_studies, study_folder
from hpo.study.plan import StageRequest, StudyPlan, StudyRequest, make_plan, plan_of, stage_settings
from hpo.study.running import pending_stages, preparing, session, stage
from hpo.study.running.runner import StageRunner
from hpo.study.running.stage import MOST_LOSSES
from hpo.study.running.stop_requests import WHOLE_STUDY, StopRequests
from hpo.tasks.base.versions import code_digest
from hpo.tracking.follower import FollowerReport
from hpo.trial.report import Report
from hpo.trial.specification import TrialSpec
from model.data.synthetic import write_synthetic
from model.errors import StorageError, UserError


def silent(*_: object) -> None:
    """Progress that nobody watches."""


@pytest.fixture
def data(tmp_path: Path) -> Path:
    root = tmp_path / "data"
    write_synthetic(root, games={"train": 1, "valid": 1, "test": 1}, dims=8, minutes=15, seed=3)
    return root


@pytest.fixture
def environment(tmp_path: Path) -> Environment:
    runs = tmp_path / "runs"
    return Environment(
        runs=runs, cache=tmp_path / "cache", data=tmp_path / "none", tracking_uri=f"sqlite:///{runs}/m.db"
    )


@pytest.fixture
def plan(data: Path, environment: Environment, tmp_path: Path) -> StudyPlan:
    study_file = tmp_path / "study.toml"
    study_file.write_text(
        'task = "calf"\n[training]\nepochs = 1\nprecision = "float32"\n'
        '[stages.bayes]\ntrials = 2\n[stages.bayes.space]\nf = { type = "int", low = 2, high = 9 }\n'
    )
    return make_plan(StudyRequest(study_file=str(study_file), data=str(data)), environment, silent)


@pytest.fixture
def begun(plan: StudyPlan, environment: Environment) -> str:
    """A study with one finished trial, as a kill leaves it."""
    folder = study_folder(environment, "begun")
    with Journal.create(folder) as journal:
        journal.append(
            StudyCreated(
                study="begun",
                plan=plan.to_json(),
                seed=0,
                data_digest=plan.data_digest,
                code_digest=code_digest("calf"),
                versions={},
            )
        )
        settings = stage_settings(plan, StageRequest(name="bayes"), environment)
        journal.append(StageAsked(stage="bayes", settings=settings))
        journal.append(StageStarted(stage="bayes", space={}, trials=2))
        journal.append(TrialAsked(trial="bayes-0001", stage="bayes", parameters={"f": 3}, seed=0))
        journal.append(TrialFinished(trial="bayes-0001", score=0.5, epoch=1, duration_s=1.0))
    (folder / "trials" / "bayes-0001").mkdir(parents=True)
    (folder / "trials" / "bayes-0001" / "best.pt").write_bytes(b"weights")
    return "begun"


def test_changed_code_is_named_and_refused(
    begun: str, environment: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reopening, "code_digest", lambda task: "other")
    with pytest.raises(UserError, match="the code of hpo changed") as refusal:
        session.resume_study(begun, environment, silent, silent)
    assert "--fork" in refusal.value.details["fix"]


@pytest.mark.parametrize(
    ("hosts", "address", "told"),
    [
        (["node7", "node8"], None, "node7, node8; now they run on this machine"),
        (["a", "b", "c", "d"], None, "a, b, c and others; now"),
        (["node7"], "head:6379", None),
        ([socket.gethostname(), ""], None, None),
    ],
)
def test_resume_on_another_machine_is_told(
    begun: str, environment: Environment, hosts: list[str], address: str | None, told: str | None
) -> None:
    with Journal.open(study_folder(environment, begun)) as journal:
        for number, host in enumerate(hosts, start=2):
            name = f"bayes-{number:04d}"
            journal.append(TrialAsked(trial=name, stage="bayes", parameters={"f": 4}, seed=0))
            journal.append(TrialStarted(trial=name, host=host, device="cpu"))
        state = stored_state(journal.folder)
        resumed, *notes = reopening.resumption(journal, state, replace(environment, ray_address=address))
    assert isinstance(resumed, StudyResumed)
    assert len(notes) == (told is not None)
    assert all(isinstance(note, Noticed) and told and told in note.message for note in notes)


def test_study_begun_on_a_gpu_does_not_wait_for_one_where_there_is_none(
    begun: str, environment: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = study_folder(environment, begun) / "journal.jsonl"
    journal.write_text(journal.read_text().replace('"device": "cpu"', '"device": "cuda"', 1))
    monkeypatch.setattr(pending_stages, "local_gpus", lambda: 0)
    monkeypatch.setattr(pending_stages.Follower, "start", lambda follower: follower)
    with pytest.raises(UserError, match="'begun' trains on cuda, but this machine has no GPU") as refusal:
        session.resume_study(begun, environment, silent, silent)
    assert refusal.value.details["fix"].endswith("--warm-start begun")


def test_study_that_the_user_stops_while_it_prepares_stops_before_ray_starts(
    begun: str, environment: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, reopen = study_folder(environment, begun), session.reopen

    def stopped_meanwhile(*words: Any) -> StudyPlan:
        assert not StopRequests(folder).standing, "a request to an earlier session does not stand"
        StopRequests(folder).add(WHOLE_STUDY)
        return reopen(*words)

    def refuse(*_: object) -> None:
        pytest.fail("Ray was started")

    StopRequests(folder).add(WHOLE_STUDY)
    monkeypatch.setattr(session, "reopen", stopped_meanwhile)
    monkeypatch.setattr(pending_stages, "ray_session", refuse)
    monkeypatch.setattr(pending_stages.Follower, "start", lambda follower: follower)
    end = session.resume_study(begun, environment, silent, silent)
    assert end.ending is pending_stages.Ending.INTERRUPTED and end.state.pending == ["bayes"]
    assert not StopRequests(folder).has(WHOLE_STUDY)
    assert [event.reason for event in stored_events(folder) if isinstance(event, StudyInterrupted)] == [
        "stopped by the user"
    ]


@pytest.mark.parametrize("losses", [1, MOST_LOSSES])
def test_study_goes_on_when_ray_has_ended_processes_for_lack_of_memory(
    begun: str, environment: Environment, monkeypatch: pytest.MonkeyPatch, losses: int
) -> None:
    """Ray Tune ends all training then; the machine may be full because of somebody else."""
    left = [True] * losses

    def train(source: StageRunner, *_: object, **__: object) -> None:
        spec = source.next_spec()
        assert isinstance(spec, TrialSpec) and spec.trial == "bayes-0002"
        source.started(spec.trial)
        if left:
            left.pop()
            raise WorkersLostError("Ray ended processes of trials: a machine was nearly out of memory")
        source.reported(spec.trial, Report(epoch=1, metrics={"average_map": 0.25}, train_s=1.0, score=0.25))
        source.finished(spec.trial)

    monkeypatch.setattr(stage, "run_trials", train)
    monkeypatch.setattr(stage, "RECOVERY_S", 0.0)
    monkeypatch.setattr(pending_stages, "ray_session", lambda **_: nullcontext())
    monkeypatch.setattr(pending_stages.Follower, "start", lambda follower: follower)
    if losses == 1:
        end = session.resume_study(begun, environment, silent, silent)
        assert end.ending is pending_stages.Ending.COMPLETE and end.state.trials["bayes-0002"].score == 0.25
        assert "nearly out of memory; its trials continue from their checkpoints" in end.state.notes[-1]
    else:
        with pytest.raises(WorkersLostError) as error:
            session.resume_study(begun, environment, silent, silent)
        assert error.value.details["fix"].endswith("nothing is lost: hpo resume begun")
        assert stored_state(study_folder(environment, begun)).pending == ["bayes"]


def test_changed_data_is_named_and_refused(begun: str, data: Path, environment: Environment) -> None:
    write_synthetic(data, games={"train": 1, "valid": 1, "test": 1}, dims=8, minutes=15, seed=4)
    with pytest.raises(UserError, match=r"the data in .* changed"):
        session.resume_study(begun, environment, silent, silent)


def trained(monkeypatch: pytest.MonkeyPatch) -> list[StudyPlan]:
    """Plans with which studies got as far as training."""
    plans: list[StudyPlan] = []
    monkeypatch.setattr(session, "run_pending_stages", lambda plan, *rest: plans.append(plan))
    return plans


def test_data_may_have_moved_and_their_new_place_is_kept(
    begun: str, data: Path, environment: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = data.rename(data.with_name("else where%20"))
    with pytest.raises(UserError, match="the data of study 'begun' were not found") as refusal:
        session.resume_study(begun, environment, silent, silent)
    assert refusal.value.details["fix"] == "say where they are: hpo resume begun --data FOLDER"
    plans = trained(monkeypatch)
    session.resume_study(begun, environment, silent, silent, data=str(elsewhere))
    session.resume_study(begun, environment, silent, silent)
    assert [plan.data for plan in plans] == [str(elsewhere)] * 2
    session.continue_study(begun, [], environment, silent, silent, data=str(elsewhere))
    moves = [event for event in read_journal(study_folder(environment, begun)).events]
    assert [event.data for event in moves if isinstance(event, DataMoved)] == [str(elsewhere)]


def test_other_data_are_no_moved_data(
    begun: str, environment: Environment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "other"
    write_synthetic(other, games={"train": 1, "valid": 1, "test": 1}, dims=8, minutes=15, seed=4)
    before = read_journal(study_folder(environment, begun)).events
    for go_on in (
        lambda: session.resume_study(begun, environment, silent, silent, data=str(other)),
        lambda: session.continue_study(begun, [], environment, silent, silent, data=str(other)),
        lambda: session.move_data(begun, str(other), environment, silent),
    ):
        with pytest.raises(UserError, match=r"was started with other data than those in .*other: their"):
            go_on()
    assert read_journal(study_folder(environment, begun)).events == before
    session.fork_study(begun, "forked", environment, silent, data=str(other))
    plans = trained(monkeypatch)
    session.resume_study("forked", environment, silent, silent)
    assert [plan.data for plan in plans] == [str(other)]


def test_data_among_the_studies_move_with_them(
    plan: StudyPlan, data: Path, environment: Environment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inside = environment.runs / "data" / "demo-0"
    inside.parent.mkdir(parents=True)
    data.rename(inside)
    plans = trained(monkeypatch)
    moving = replace(plan, data=str(inside))
    stages = preparing.prepare_new(moving, "demo", [StageRequest(name="bayes")], environment, silent)
    session.start_study(moving, "demo", stages, environment, silent)
    journal = study_folder(environment, "demo") / "journal.jsonl"
    assert str(environment.runs) not in journal.read_text()
    moved = replace(environment, runs=environment.runs.rename(tmp_path / "moved"))
    session.resume_study("demo", moved, silent, silent)
    assert plans[-1].data == str(tmp_path / "moved" / "data" / "demo-0")


def test_fork_takes_trials_over_and_accepts_the_code_of_today(
    begun: str, environment: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    for room in (preparing, reopening):
        monkeypatch.setattr(room, "code_digest", lambda task: "other")
    session.fork_study(begun, "forked", environment, silent)
    old, new = (stored_state(study_folder(environment, name)) for name in (begun, "forked"))
    assert new.created.study == "forked"
    assert new.created.code_digest == "other"
    assert new.created.identity != old.created.identity
    assert new.trials["bayes-0001"].score == 0.5
    copied = study_folder(environment, "forked") / "trials" / "bayes-0001" / "best.pt"
    assert copied.read_bytes() == b"weights"
    # Nothing is refused any more: it gets as far as training.
    monkeypatch.setattr(session, "run_pending_stages", lambda plan, journal, *rest: plan)
    resumed = session.resume_study("forked", environment, silent, silent)
    assert resumed == plan_of(study_folder(environment, begun), old.created)


def test_fork_of_a_renamed_study_has_its_own_name_and_the_running_time_of_both(
    begun: str, environment: Environment
) -> None:
    old = stored_state(study_folder(environment, begun))
    with Journal.open(study_folder(environment, begun)) as journal:
        journal.append(StudyRenamed(study="second"))
        journal.append(DataMoved(data="/elsewhere"))
    session.fork_study(begun, "forked", environment, silent, data=old.created.plan["data"])
    new = stored_state(study_folder(environment, "forked"))
    assert new.created.study == "forked"
    assert new.created.plan["data"] == old.created.plan["data"]
    assert new.created.at == old.created.at


def test_fork_that_breaks_off_leaves_nothing_and_can_be_repeated(
    begun: str, environment: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(source: Path, target: Path) -> None:
        target.mkdir()
        raise shutil.Error([(str(source), str(target), "No space left on device")])

    killed = study_folder(environment, begun).with_name(".forked.unfinished")
    for left in (killed, study_folder(environment, "forked")):
        Journal.create(left).close()
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "copytree", full)
        with pytest.raises(StorageError, match="cannot copy the trials to"):
            session.fork_study(begun, "forked", environment, silent)
    assert [folder.name for folder in killed.parent.iterdir()] == [begun]
    session.fork_study(begun, "forked", environment, silent)
    assert known_studies(environment) == ["forked", begun]


def test_study_that_runs_is_not_forked(begun: str, environment: Environment) -> None:
    with (
        Journal.open(study_folder(environment, begun)),
        pytest.raises(UserError, match="is being run by process") as refusal,
    ):
        session.fork_study(begun, "forked", environment, silent)
    assert refusal.value.details["fix"] == "hpo stop begun"


def test_failed_trials_of_a_complete_study_are_trained_again_from_their_beginning(
    begun: str, environment: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = study_folder(environment, begun)
    with Journal.open(folder) as journal:
        journal.append(TrialAsked(trial="bayes-0002", stage="bayes", parameters={"f": 4}, seed=0))
        journal.append(TrialFailed(trial="bayes-0002", reason="no space left"))
        journal.append(StageFinished(stage="bayes", best_trial="bayes-0001", chosen={"f": 3}))
    (folder / "trials" / "bayes-0002").mkdir()
    (folder / "trials" / "bayes-0002" / "error.txt").write_text("OSError: no space left")
    states: list[StudyState] = []
    monkeypatch.setattr(
        session, "run_pending_stages", lambda plan, journal, state, *rest: states.append(state)
    )
    session.resume_study(begun, environment, silent, silent, retry_failed=True)
    replayed = stored_state(folder)
    for state in (states[0], replayed):
        assert state.pending == ["bayes"]
        assert [trial.trial for trial in state.tally("bayes").unfinished.values()] == ["bayes-0002"]
        assert state.trials["bayes-0001"].score == 0.5
    assert sorted(path.name for path in (folder / "trials").iterdir()) == ["bayes-0001"]


def test_study_without_failed_trials_has_nothing_to_train_again(begun: str, environment: Environment) -> None:
    with pytest.raises(UserError, match="has no failed trial to train again"):
        session.resume_study(begun, environment, silent, silent, retry_failed=True)


def test_resume_of_a_complete_study_only_brings_mlflow_up_to_date(
    begun: str, environment: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    followed: list[Path] = []

    class Recorder:
        def __init__(self, folder: Path, tracker: object) -> None:
            followed.append(folder)

        def start(self) -> None:
            pass

        def close(self, timeout_s: float) -> FollowerReport:
            return FollowerReport(events_left=0, failure=None, refused=())

    folder = study_folder(environment, begun)
    with Journal.open(folder) as journal:
        journal.append(TrialAsked(trial="bayes-0002", stage="bayes", parameters={"f": 4}, seed=0))
        journal.append(TrialFinished(trial="bayes-0002", score=0.6, epoch=1, duration_s=1.0))
        journal.append(StageFinished(stage="bayes", best_trial="bayes-0002"))
    before = read_journal(folder).events
    monkeypatch.setattr(pending_stages, "Follower", Recorder)
    monkeypatch.setattr(reopening, "code_digest", lambda task: "other")
    end = session.resume_study(begun, environment, silent, silent)
    assert end.ending is pending_stages.Ending.COMPLETE
    assert followed == [folder]
    assert read_journal(folder).events == before


def test_sync_records_what_mlflow_lacks_and_trains_nothing(begun: str, environment: Environment) -> None:
    from mlflow import MlflowClient

    before = (study_folder(environment, begun) / "journal.jsonl").read_bytes()
    for _ in range(2):
        report = session.sync_study(begun, environment)
        assert (report.events_left, report.failure) == (0, None)
    client = MlflowClient(environment.tracking_uri)
    experiment = client.get_experiment_by_name(begun)
    assert experiment is not None
    names = sorted(str(run.info.run_name) for run in client.search_runs([experiment.experiment_id]))
    assert names == ["bayes", "bayes-0001"]
    assert (study_folder(environment, begun) / "journal.jsonl").read_bytes() == before
