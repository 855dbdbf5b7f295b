"""More trials for a search that has ended, killed in the middle."""

import pytest
from e2e.command_line import CommandLine, kill_group
from waiting import wait_until

from hpo.journal.events import TrialAsked


def proposals(hpo: CommandLine, study: str) -> list[dict[str, object]]:
    return [dict(event.parameters) for event in hpo.events(study) if isinstance(event, TrialAsked)]


@pytest.mark.slow
def test_extended_search_goes_on_as_a_longer_one_would_have(hpo: CommandLine) -> None:
    quick = ("--epochs", "1")
    whole = hpo.run(*hpo.study("whole", "--trials", "5", *quick))
    assert whole.returncode == 0, whole.stderr
    assert hpo.run(*hpo.study("short", "--trials", "2", *quick)).returncode == 0
    before = {trial["trial"]: trial["average_map"] for trial in hpo.best("short")}

    none = hpo.run(*hpo.study("short", "--trials", "2", *quick))
    assert none.returncode == 2 and "none would be added" in none.stderr
    longer = hpo.run("run", "bayes", "--study", "short", "--epochs", "3", "--trials", "5")
    assert longer.returncode == 2 and "epochs = 1, got 3" in longer.stderr

    process = hpo.start("run", "bayes", "--study", "short", "--trials", "5")
    wait_until(lambda: len(hpo.finished("short")) >= 3)
    kill_group(process)
    resumed = hpo.run("resume", "short")
    assert resumed.returncode == 0, resumed.stderr
    assert proposals(hpo, "short") == proposals(hpo, "whole")
    assert set(hpo.finished("short").values()) == {1}
    after = {trial["trial"]: trial["average_map"] for trial in hpo.best("short")}
    assert after.items() >= before.items() and len(after) == 5
    assert after == {trial["trial"]: trial["average_map"] for trial in hpo.best("whole")}
