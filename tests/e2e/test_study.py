"""Whole studies through the command line, with real processes and real kills."""

import signal
from collections import Counter

import pytest
from e2e.command_line import CommandLine, kill_group
from e2e.processes import descendants, listening_addresses
from waiting import wait_until

from hpo.journal.events import StudyCreated, TrialAsked, TrialFinished, TrialReported, TrialStarted
from hpo.journal.journal import Journal


def test_killed_study_resumes_to_the_scores_of_an_uninterrupted_one(hpo: CommandLine) -> None:
    undisturbed = hpo.apart.run(*hpo.study("whole"))
    assert undisturbed.returncode == 0, undisturbed.stderr

    process = hpo.start(*hpo.study("killed"))
    # In the middle of the second trial: one is finished, one has a checkpoint.
    wait_until(lambda: reports_of(hpo, "killed", "bayes-0002") >= 2)
    kill_group(process)
    finished_before = [event for event in hpo.events("killed") if isinstance(event, TrialFinished)]
    resumed = hpo.apart.run("resume", "killed")
    assert resumed.returncode == 0, resumed.stderr

    assert comparable(hpo, "killed") == comparable(hpo, "whole")
    events = hpo.events("killed")
    assert [event for event in events if isinstance(event, TrialFinished)][: len(finished_before)] == (
        finished_before
    )
    started = Counter(event.trial for event in events if isinstance(event, TrialStarted))
    assert started == {"bayes-0001": 1, "bayes-0002": 2, "bayes-0003": 1, "bayes-0004": 1}
    reported = Counter((e.trial, e.epoch) for e in events if isinstance(e, TrialReported))
    assert set(reported.values()) == {1}
    asked = [event.trial for event in events if isinstance(event, TrialAsked)]
    assert asked == sorted(set(asked))


def test_study_listens_on_loopback_only_and_ctrl_c_stops_it_and_says_how_to_go_on(hpo: CommandLine) -> None:
    process = hpo.start(*hpo.study("stopped"))
    wait_until(lambda: reports_of(hpo, "stopped", "bayes-0001") >= 1)
    assert listening_addresses([process.pid, *descendants(process.pid)]) == {"127.0.0.1"}
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=60) == 130
    output = (hpo.folder / "output.txt").read_text()
    assert "hpo resume stopped" in output
    assert "Traceback" not in output
    assert "stopped; resume with: hpo resume stopped" in hpo.run("status", "stopped").stdout


def test_several_trials_at_once_finish_and_are_all_recorded_in_mlflow(hpo: CommandLine) -> None:
    from mlflow import MlflowClient

    done = hpo.run(*hpo.study("pair", "--concurrent", "2", "--searcher", "random"))
    assert done.returncode == 0, done.stderr
    assert len(hpo.best("pair")) == 4

    client = MlflowClient(f"sqlite:///{hpo.folder / 'hpo-runs' / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("pair")
    assert experiment is not None
    runs = client.search_runs([experiment.experiment_id])
    children = [run for run in runs if "mlflow.parentRunId" in run.data.tags]
    assert sorted(run.data.tags["hpo.status"] for run in children) == ["finished"] * 4
    by_trial = {run.info.run_name: run for run in children}
    for trial in hpo.best("pair"):
        run = by_trial[trial["trial"]]
        assert run.data.metrics["score"] == pytest.approx(trial["average_map"])
        assert float(run.data.params["lambda_seg"]) == pytest.approx(trial["parameters"]["lambda_seg"])
        history = client.get_metric_history(run.info.run_id, "average_map")
        assert [point.step for point in history] == [1, 2, 3, 4]


def test_diverging_trials_are_failures_with_a_reason_and_the_study_goes_on_to_its_end(
    hpo: CommandLine,
) -> None:
    words = hpo.study("wild")
    study_file = hpo.folder / "small.toml"
    study_file.write_text(study_file.read_text().replace("epochs = 4", "epochs = 4\nlearning_rate = 1e30"))
    done = hpo.run(*words)
    assert done.returncode == 1
    assert "no trial of stage bayes has a score; the first failure: DivergedError" in done.stderr
    assert "Traceback" not in done.stderr
    status = hpo.run("status", "wild").stdout
    assert "0 of 4 trials finished, 4 failed" in status
    assert status.count("DivergedError: training loss is") == 4


def test_new_study_whose_usual_name_is_taken_says_its_name(
    hpo: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hpo.study.estimate.measured_time", lambda *_: None)
    created = StudyCreated(study="synthetic", plan={}, seed=0, data_digest="d", code_digest="c", versions={})
    with Journal.create(hpo.folder / "hpo-runs" / "studies" / "synthetic") as journal:
        journal.append(created)
    answer = hpo.run("run", "bayes", "--data", str(hpo.data), "--dry-run")
    assert answer.returncode == 0, answer.stderr
    assert "a study synthetic exists already; the new one is named synthetic-2" in answer.stderr


def reports_of(hpo: CommandLine, study: str, trial: str) -> int:
    events = hpo.events(study)
    return sum(isinstance(event, TrialReported) and event.trial == trial for event in events)


def comparable(hpo: CommandLine, study: str) -> dict[str, object]:
    """Parameters and scores of all trials, without what depends on the clock."""
    clocked = {"chunks_per_s"}
    return {
        trial["trial"]: (
            trial["parameters"],
            trial["average_map"],
            {name: value for name, value in trial["metrics"].items() if name not in clocked},
        )
        for trial in hpo.best(study)
    }
