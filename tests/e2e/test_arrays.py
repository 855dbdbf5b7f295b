"""Trials that share a process: it dies, the study dies, and every trial reaches what it would have."""

import os
import signal
from collections import Counter

import pytest
from e2e.command_line import CommandLine, kill_group
from e2e.processes import ray_processes
from waiting import wait_until

from hpo.journal.events import TrialFailed, TrialFinished, TrialReported, TrialStopped

WORDS = ("--concurrent", "2", "--array", "2", "--searcher", "random")


def reported(hpo: CommandLine, study: str) -> Counter[tuple[str, int]]:
    return Counter((e.trial, e.epoch) for e in hpo.events(study) if isinstance(e, TrialReported))


def scores(hpo: CommandLine, study: str) -> dict[str, float]:
    return {trial["trial"]: trial["average_map"] for trial in hpo.best(study)}


@pytest.mark.slow
def test_trials_survive_the_death_of_their_array_and_of_the_study(hpo: CommandLine) -> None:
    undisturbed = hpo.run(*hpo.study("whole", *WORDS))
    assert undisturbed.returncode == 0, undisturbed.stderr

    process = hpo.start(*hpo.study("killed", *WORDS))
    wait_until(lambda: len(reported(hpo, "killed")) >= 2)
    (array,) = ray_processes(process.pid, "TrialArray")
    os.kill(array, signal.SIGKILL)
    wait_until(lambda: len(reported(hpo, "killed")) >= 6)
    kill_group(process)
    resumed = hpo.run("resume", "killed")
    assert resumed.returncode == 0, resumed.stderr

    assert scores(hpo, "killed") == scores(hpo, "whole")
    assert set(reported(hpo, "killed").values()) == {1}
    events = hpo.events("killed")
    assert Counter(type(event) for event in events)[TrialFinished] == 4
    assert not any(isinstance(event, TrialFailed) for event in events)


@pytest.mark.slow
def test_scheduler_stops_single_trials_of_an_array_and_others_take_their_place(hpo: CommandLine) -> None:
    words = ("--concurrent", "2", "--array", "2", "--searcher", "random", "--trials", "6")
    done = hpo.run(*hpo.study("asha", *words, "--scheduler", "asha"))
    assert done.returncode == 0, done.stderr
    ended = Counter(type(event) for event in hpo.events("asha"))
    assert ended[TrialStopped] >= 1 and ended[TrialFinished] >= 1
    assert ended[TrialStopped] + ended[TrialFinished] == 6
