import threading
from pathlib import Path

import pytest

from hpo.cli.stopping import stop
from hpo.journal.events import (
    Event,
    StageFinished,
    StageStarted,
    StudyCreated,
    StudyInterrupted,
    TrialAsked,
    TrialFinished,
    TrialStarted,
)
from hpo.journal.journal import Journal
from hpo.study.running.stop_requests import (
    WHOLE_STUDY,
    StopRequests,
    request_stop_of_study,
    request_stop_of_trial,
    wait_for_end_of_study,
    wait_for_end_of_trial,
)
from model.errors import UserError

CREATED = StudyCreated(study="s", plan={}, seed=0, data_digest="", code_digest="", versions={})
STARTED = StageStarted(stage="bayes", space={}, trials=3, epochs=4)
FINISHED = TrialFinished(trial="bayes-0002", score=0.5, epoch=4, duration_s=1.0)


@pytest.fixture
def running(tmp_path: Path) -> Journal:
    """Journal of a study with a trial that runs and one that has finished."""
    journal = Journal.create(tmp_path / "studies" / "s")
    for event in (
        CREATED,
        STARTED,
        *(TrialAsked(trial=f"bayes-000{n}", stage="bayes", parameters={}, seed=0) for n in (1, 2)),
        TrialStarted(trial="bayes-0001", host="h", device="cpu"),
        FINISHED,
    ):
        journal.append(event)
    return journal


def test_request_reaches_the_process_that_runs_the_study_until_it_is_removed(running: Journal) -> None:
    with running:
        request_stop_of_trial(running.folder, "bayes-0001")
        theirs = StopRequests(running.folder)
        assert theirs.has("bayes-0001") and theirs.standing == {"bayes-0001"}
        theirs.remove("bayes-0001")
        theirs.remove("bayes-0001")
        assert not theirs.has("bayes-0001")
        request_stop_of_study(running.folder)
        assert StopRequests(running.folder).standing == {WHOLE_STUDY}


def test_study_whose_folder_cannot_be_read_for_a_moment_goes_on(tmp_path: Path) -> None:
    assert StopRequests(tmp_path / "away").standing == frozenset()


@pytest.mark.parametrize(
    ("trial", "complaint"),
    [
        ("bayes-0002", "trial s/bayes-0002 has ended already: finished"),
        ("bayes-0009", "study 's' has no trial 'bayes-0009'"),
        ("../journal.jsonl", r"study 's' has no trial '\.\./journal\.jsonl'"),
    ],
)
def test_trial_that_does_not_run_is_refused(running: Journal, trial: str, complaint: str) -> None:
    with running, pytest.raises(UserError, match=complaint) as refusal:
        request_stop_of_trial(running.folder, trial)
    assert refusal.value.details["running"] == "bayes-0001"


def test_study_that_does_not_run_is_refused(running: Journal) -> None:
    running.close()
    with pytest.raises(UserError, match="study 's' is not running: stopped; resume with: hpo resume s"):
        request_stop_of_study(running.folder)
    with pytest.raises(UserError, match="study 's' is not running"):
        request_stop_of_trial(running.folder, "bayes-0001")
    assert not StopRequests(running.folder).has(WHOLE_STUDY)


@pytest.mark.parametrize(
    ("event", "said"),
    [
        (StageFinished(stage="bayes", best_trial="bayes-0002"), "study s: complete"),
        (StudyInterrupted(reason="stopped by the user"), "study s: stopped; resume with: hpo resume s"),
    ],
)
def test_command_says_how_the_study_ended(
    running: Journal,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    event: Event,
    said: str,
) -> None:
    def end(folder: Path) -> None:
        running.append(event)

    monkeypatch.setenv("HPO_RUNS", str(running.folder.parent.parent))
    monkeypatch.setattr("hpo.study.running.stop_requests.wait_for_end_of_study", end)
    with running:
        stop("s")
    assert capsys.readouterr().out == f"{said}\n"


def test_waiting_ends_with_the_trial(running: Journal) -> None:
    end = TrialFinished(trial="bayes-0001", score=0.25, epoch=2, duration_s=1.0)
    with running:
        later = threading.Timer(0.05, running.append, [end])
        later.start()
        assert wait_for_end_of_trial(running.folder, "bayes-0001").score == 0.25
        later.join()


def test_waiting_ends_with_the_process_that_runs_the_study(running: Journal) -> None:
    running.close()
    assert not wait_for_end_of_trial(running.folder, "bayes-0001").has_ended
    wait_for_end_of_study(running.folder)
