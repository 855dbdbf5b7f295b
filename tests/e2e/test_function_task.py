"""The example of a task that is one function: scikit-learn's ridge regression."""

import shutil
import sys
from pathlib import Path

import pytest
from e2e.command_line import CommandLine

from hpo.journal.events import TrialFailed, TrialFinished, TrialTested
from hpo.tasks.base.registry import load_study, task_named

EXAMPLES = Path(__file__).parents[2] / "examples"


def test_example_is_short_and_its_function_scores(monkeypatch: pytest.MonkeyPatch) -> None:
    assert len((EXAMPLES / "ridge.py").read_text().splitlines()) <= 60
    monkeypatch.syspath_prepend(EXAMPLES)
    study = load_study(EXAMPLES / "ridge.toml")
    task = task_named("ridge")
    shape = task.shape(None)
    array = task.array(task.shared(study, shape, "float32"))  # type: ignore[call-arg]
    array.slots = [task.slot(study, {"alpha": alpha}, shape, seed=1, data_seed=1) for alpha in (1.0, 50.0)]
    scores = [outcome.result.metrics["score"] for outcome in array.advance()]  # type: ignore[union-attr]
    assert all(0.2 < score < 0.8 for score in scores) and scores[0] != scores[1]
    sys.modules.pop("ridge")


@pytest.mark.parametrize(
    ("option", "typed"), [("--data", "folder"), ("--features", "resnet"), ("--games", "2,1")]
)
def test_data_options_are_refused_for_a_function(
    hpo: CommandLine, monkeypatch: pytest.MonkeyPatch, option: str, typed: str
) -> None:
    monkeypatch.syspath_prepend(EXAMPLES)
    done = hpo.run("run", "bayes", "--study-file", str(EXAMPLES / "ridge.toml"), option, typed)
    assert done.returncode == 2
    assert f"the task ridge opens its data itself, got {option}" in done.stderr
    sys.modules.pop("ridge")


@pytest.mark.slow
def test_example_runs_from_search_to_test_split(hpo_with_own_code: CommandLine, own_code: Path) -> None:
    ridge = hpo_with_own_code
    shutil.copy(EXAMPLES / "ridge.py", own_code)
    words = ("run", "bayes", "--study-file", str(EXAMPLES / "ridge.toml"), "--trials", "4")
    found = ridge.run(*words)
    assert found.returncode == 0, found.stderr
    assert "study ridge on ridge, cpu" in found.stderr
    assert {"alpha", "degree"} == set(ridge.best("ridge")[0]["parameters"])
    final = ridge.run("run", "final", "--seeds", "2")
    assert final.returncode == 0, final.stderr
    events = ridge.events("ridge")
    assert not [event for event in events if isinstance(event, TrialFailed)]
    tested = [event.metrics["score"] for event in events if isinstance(event, TrialTested)]
    assert len(tested) >= 4 and 0.2 < max(tested) < 0.8
    assert ridge.run("report", "ridge").returncode == 0


@pytest.mark.slow
def test_trials_that_failed_by_a_mistake_are_trained_again_when_it_is_mended(
    hpo_with_own_code: CommandLine, own_code: Path
) -> None:
    ridge, example = hpo_with_own_code, (EXAMPLES / "ridge.py").read_text()
    mistaken = example.replace("alpha=parameters", "alpha=parametres")
    assert mistaken != example
    (own_code / "ridge.py").write_text(mistaken)
    words = ("run", "bayes", "--study-file", str(EXAMPLES / "ridge.toml"), "--trials", "7")
    failed = ridge.run(*words)
    assert failed.returncode == 1
    assert "stopped: 5 trials failed, all for the same reason: NameError" in failed.stderr
    assert "error.txt" in failed.stderr
    advice = "hpo resume ridge --fork NEW --retry-failed"
    assert advice in failed.stderr and advice in ridge.run("status", "ridge").stdout
    (own_code / "ridge.py").write_text(example)
    same = ridge.run("resume", "ridge", "--retry-failed")
    assert same.returncode == 2 and "ridge.py or the code of hpo changed" in same.stderr
    mended = ridge.run("resume", "ridge", "--fork", "mended", "--retry-failed")
    assert mended.returncode == 0, mended.stderr
    none = ridge.run("resume", "mended", "--fork", "again", "--retry-failed")
    assert none.returncode == 2 and "has no failed trial" in none.stderr
    assert "again" not in ridge.run("list").stdout
    events = ridge.events("mended")
    assert sum(isinstance(event, TrialFinished) for event in events) == 7
    assert 0.2 < ridge.best("mended")[0]["score"] < 0.8
