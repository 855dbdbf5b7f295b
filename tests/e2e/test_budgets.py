"""Budgets of a study, killed in the middle."""

import shutil
from pathlib import Path

import pytest
from e2e.command_line import CommandLine, kill_group
from waiting import wait_until

from hpo.journal.events import StageFinished, TrialStarted

pytestmark = pytest.mark.slow

NO_TIME = ("--hours", "1e-7")


@pytest.fixture(scope="module")
def killed(
    tmp_path_factory: pytest.TempPathFactory, small_data: Path, shared_cache: Path, empty_store: Path
) -> Path:
    """Folder in which a study called ``b`` was killed in its second trial."""
    folder = tmp_path_factory.mktemp("killed")
    hpo = CommandLine(folder, small_data, shared_cache).with_store(empty_store)
    process = hpo.start(*hpo.study("b", "--trials", "3", "--hours", "1"))
    wait_until(lambda: sum(isinstance(event, TrialStarted) for event in hpo.events("b")) == 2)
    kill_group(process)
    assert len(hpo.finished("b")) == 1
    return folder


@pytest.fixture
def with_killed(hpo: CommandLine, killed: Path) -> CommandLine:
    """Commands beside a copy of the killed study."""
    shutil.copytree(killed, hpo.folder, dirs_exist_ok=True)
    return hpo


def test_study_whose_budget_is_over_goes_on_with_another_one(with_killed: CommandLine) -> None:
    hpo = with_killed
    assert "budget of 1 h: 59 min" in hpo.run("status", "b").stdout
    over = hpo.run("resume", "b", *NO_TIME)
    assert over.returncode == 0, over.stderr
    assert "the budget of 1e-07 h is over: 1 of 3 trials of stage bayes have ended" in over.stderr
    assert "Best configurations" in over.stdout and "hpo run grid-slicing" in over.stderr
    assert "hpo resume b --hours" in hpo.run("status", "b").stdout
    assert hpo.run("report", "b").returncode == 0
    again = hpo.run("resume", "b")
    assert again.returncode == 2 and "the budget of study 'b' is used up" in again.stderr
    done = hpo.run("resume", "b", "--hours", "inf")
    assert done.returncode == 0 and "budget" not in done.stderr, done.stderr
    assert len(hpo.finished("b")) == 3 and set(hpo.finished("b").values()) == {1}


def test_next_stage_ends_a_search_whose_budget_is_over(with_killed: CommandLine) -> None:
    hpo = with_killed
    assert hpo.run("resume", "b", *NO_TIME).returncode == 0
    done = hpo.run("run", "final", "--study", "b", "--seeds", "2", "--epochs", "1")
    assert done.returncode == 0, done.stderr
    ends = [event.stage for event in hpo.events("b") if isinstance(event, StageFinished)]
    assert ends == ["bayes", "final"]
    bayes = [name for name in hpo.finished("b") if name.startswith("bayes")]
    assert bayes == ["bayes-0001"]
    assert "note: stage bayes ends after 2 of 3 trials: the budget of 1e-07 h is over" in done.stderr
