"""``hpo stop`` from another process, with a kill between the request and what comes of it."""

import signal
from os import killpg

import pytest
from e2e.command_line import CommandLine, kill_group, wait_until

from hpo.journal.events import StudyInterrupted, TrialReported, TrialStopped
from hpo.study.stop_requests import StopRequests


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
    assert (folder / "trials" / "bayes-0001" / "best.pt").exists()
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
    assert done.returncode == 0 and "continue with: hpo resume s" in done.stdout, done.stderr
    assert process.wait(timeout=60) == 130
    last = hpo.events("s")[-1]
    assert isinstance(last, StudyInterrupted) and last.reason == "stopped by the user"
    assert hpo.run("stop", "s").returncode == hpo.run("stop", "s/bayes-0003").returncode == 2
