"""``hpo stop`` from another process: at once, also where nothing is ever validated, and over a kill."""

import os
import signal
from collections import Counter
from dataclasses import replace
from os import killpg
from pathlib import Path

import pytest
from e2e.command_line import CommandLine, kill_group
from e2e.processes import is_running
from waiting import wait_until

from hpo.journal.events import StudyInterrupted, TrialFailed, TrialFinished, TrialReported, TrialStopped
from hpo.study.running.stop_requests import StopRequests

ROOT = Path(__file__).parents[2]
ENDLESS_TASK = '''
import os
import time
from pathlib import Path

from hpo import function_task

HERE = Path(__file__).parent


def fit(parameters, seed, report):
    """Write the number of its process, and end once there is a file "go"."""
    (HERE / f"process-{parameters['x']}").write_text(str(os.getpid()))
    while not (HERE / "go").exists():
        time.sleep(0.05)
    return parameters["x"] / 10


TASK = function_task(fit, space={"x": [1, 2, 3, 4]}, own={"x": 1}, trials=4)
'''


def has_validated(hpo: CommandLine, trial: str) -> bool:
    return any(isinstance(event, TrialReported) and event.trial == trial for event in hpo.events("s"))


def stopped(hpo: CommandLine) -> list[tuple[str, str]]:
    return [(event.trial, event.reason) for event in hpo.events("s") if isinstance(event, TrialStopped)]


@pytest.mark.slow
def test_user_stops_trials_and_then_the_study(hpo: CommandLine) -> None:
    folder = hpo.folder / "hpo-runs" / "studies" / "s"
    process = hpo.start(*hpo.study("s", "--trials", "9", "--epochs", "400"))
    wait_until(lambda: has_validated(hpo, "bayes-0001"))
    done = hpo.run("stop", "s/bayes-0001")
    assert done.returncode == 0 and "s/bayes-0001 stopped at epoch" in done.stdout, done.stderr
    assert [file.name for file in (folder / "trials" / "bayes-0001").glob("*.pt")] == ["best.pt"]
    assert "stopped by the user" in hpo.run("show", "s/bayes-0001").stdout

    wait_until(lambda: has_validated(hpo, "bayes-0002"))
    killpg(process.pid, signal.SIGSTOP)
    StopRequests(folder).add("bayes-0002")
    kill_group(process)
    assert len(stopped(hpo)) == 1
    process = hpo.start("resume", "s")
    wait_until(lambda: has_validated(hpo, "bayes-0003"))
    assert stopped(hpo) == [(f"bayes-000{number}", "stopped by the user") for number in (1, 2)]

    done = hpo.run("stop", "s")
    assert done.returncode == 0 and "study s: stopped; resume with: hpo resume s" in done.stdout, done.stderr
    assert process.wait(timeout=60) == 130
    last = hpo.events("s")[-1]
    assert isinstance(last, StudyInterrupted) and last.reason == "stopped by the user"
    assert hpo.run("stop", "s").returncode == hpo.run("stop", "s/bayes-0003").returncode == 2


@pytest.mark.slow
def test_user_stops_a_function_that_never_reports(hpo: CommandLine) -> None:
    (hpo.folder / "endless.py").write_text(ENDLESS_TASK)
    (hpo.folder / "endless.toml").write_text('task = "endless"\n')
    # Processes that Ray has started already would not find the task.
    own = replace(hpo.apart, variables={"PYTHONPATH": f"{hpo.folder}{os.pathsep}{ROOT}"})
    process = own.start("run", "bayes", "--study-file", "./endless.toml", "--study", "s")
    first = hpo.folder / "process-1"
    wait_until(lambda: first.exists() and bool(first.read_text()))
    done = own.run("stop", "s/bayes-0001")
    assert done.returncode == 0 and "before its first validation, without a score" in done.stdout, done.stderr
    assert not is_running(int(first.read_text()))

    wait_until(lambda: len(list(hpo.folder.glob("process-*"))) == 2)
    killpg(process.pid, signal.SIGSTOP)
    StopRequests(hpo.folder / "hpo-runs" / "studies" / "s").add("bayes-0002")
    kill_group(process)
    (hpo.folder / "go").touch()
    resumed = own.run("resume", "s")
    assert resumed.returncode == 0, resumed.stderr
    assert stopped(own) == [(f"bayes-000{number}", "stopped by the user") for number in (1, 2)]
    assert not any(isinstance(event, TrialFailed) for event in own.events("s"))
    assert {trial["trial"] for trial in own.best("s")} == {"bayes-0003", "bayes-0004"}


@pytest.mark.slow
def test_trial_that_shares_a_process_with_a_stopped_one_trains_to_its_end(hpo: CommandLine) -> None:
    words = ("--concurrent", "2", "--array", "2", "--searcher", "random", "--trials", "2", "--epochs", "30")
    process = hpo.start(*hpo.study("s", *words))
    wait_until(lambda: has_validated(hpo, "bayes-0001"))
    done = hpo.run("stop", "s/bayes-0001")
    assert done.returncode == 0 and "s/bayes-0001 stopped at epoch" in done.stdout, done.stderr
    assert process.wait(timeout=120) == 0
    (other,) = (event for event in hpo.events("s") if isinstance(event, TrialFinished))
    reports = Counter(event.trial for event in hpo.events("s") if isinstance(event, TrialReported))
    assert other.trial == "bayes-0002" and reports["bayes-0002"] == 30 > reports["bayes-0001"]
