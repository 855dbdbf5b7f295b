"""The task of the tutorial, typed as it stands there."""

import re
import tomllib
from pathlib import Path

import numpy as np
import pytest
from e2e.command_line import CommandLine, kill_group
from waiting import wait_until

from hpo.journal.events import TrialAsked, TrialFailed, TrialFinished, TrialReported, TrialTested

TUTORIAL = Path(__file__).parents[2] / "docs" / "tutorials" / "own-task.md"


def block(language: str, name: str) -> str:
    """The block of code that begins with the comment ``# name``."""
    found = re.findall(
        rf"```{language}\n(# {re.escape(name)}\n.*?)```", TUTORIAL.read_text(), flags=re.DOTALL
    )
    assert len(found) == 1, f"the tutorial has {len(found)} blocks {name}"
    return str(found[0])


@pytest.fixture
def line(hpo_with_own_code: CommandLine, own_code: Path) -> CommandLine:
    """A folder with the study file and points to fit; the task is where Python finds it."""
    hpo = hpo_with_own_code
    (own_code / "line.py").write_text(block("python", "line.py"))
    (hpo.folder / "line.toml").write_text(block("toml", "line.toml"))
    points = hpo.folder / "points"
    points.mkdir()
    random = np.random.default_rng(0)
    for split, rows in (("train", 80), ("valid", 40), ("test", 30)):
        inputs = random.normal(size=(rows, 3))
        answers = inputs @ np.array([1.0, -2.0, 0.5]) + random.normal(scale=0.1, size=rows)
        np.save(points / f"{split}.npy", np.column_stack([inputs, answers]))
    return hpo


WORDS = ("run", "bayes", "--study-file", "./line.toml", "--data", "points")


@pytest.mark.slow
def test_the_task_of_the_tutorial_runs_resumes_and_is_shown(line: CommandLine) -> None:
    whole = line.run(*WORDS, "--study", "whole")
    assert whole.returncode == 0, whole.stderr
    assert "80 training and 40 validation rows" in whole.stderr
    heading = next(row for row in whole.stdout.splitlines() if row.startswith("trial"))
    assert heading.split()[:5] == ["trial", "expected", "R2", "learning_rate", "decay"]

    process = line.start(*WORDS, "--study", "killed")
    wait_until(lambda: sum(isinstance(event, TrialFinished) for event in line.events("killed")) >= 2)
    kill_group(process)
    resumed = line.run("resume", "killed")
    assert resumed.returncode == 0, resumed.stderr
    assert not [event for event in line.events("killed") if isinstance(event, TrialFailed)]
    assert scores(line, "killed") == scores(line, "whole")

    best = line.best("whole")[0]
    assert best["r2"] > 0.9 and set(best["parameters"]) == {"learning_rate", "decay"}
    final = line.run("run", "final", "--study", "whole", "--seeds", "2")
    assert final.returncode == 0, final.stderr
    assert "test split" in final.stdout
    assert "network registered in MLflow as models:/whole/1" in final.stderr
    tested = [event.metrics for event in line.events("whole") if isinstance(event, TrialTested)]
    assert len(tested) == 2 * 3 and all(set(metrics) == {"r2"} for metrics in tested)
    assert max(metrics["r2"] for metrics in tested) > 0.9
    page = line.run("report", "whole")
    assert page.returncode == 0, page.stderr


def test_mistakes_in_a_task_of_ones_own_are_named(line: CommandLine) -> None:
    (line.folder / "points" / "valid.npy").unlink()
    gone = line.run(*WORDS)
    assert gone.returncode == 2
    assert "expected a file of rows, found none" in gone.stderr and "valid.npy" in gone.stderr

    study_file = line.folder / "line.toml"
    (line.folder / "points" / "test.npy").unlink()
    (line.folder / "points" / "valid.npy").write_bytes(b"no array")
    damaged = line.run(*WORDS)
    assert damaged.returncode == 2
    assert "the task line raised" in damaged.stderr and "in rows_of" in damaged.stderr
    (line.folder / "points" / "valid.npy").write_bytes((line.folder / "points" / "train.npy").read_bytes())
    for option, typed, used in (("--games", "2,1", "80,80"), ("--features", "other", "rows")):
        ignored = line.run(*WORDS, option, typed)
        assert ignored.returncode == 2
        assert f"the task line ignores {option} {typed}: it used {used}" in ignored.stderr
    final = line.run("run", "final", "--from", "paper", "--study", "early", *WORDS[2:])
    assert final.returncode == 2
    assert "expected a file of rows, found none" in final.stderr and "test.npy" in final.stderr
    assert not [event for event in line.events("early") if isinstance(event, TrialAsked)]

    study_file.write_text(study_file.read_text().replace('"line"', '"lines"'))
    unknown = line.run(*WORDS)
    assert unknown.returncode == 2
    assert "expected one of bmn, calf, or a module on PYTHONPATH with a TASK, got 'lines'" in unknown.stderr

    study_file.write_text(study_file.read_text().replace('"lines"', '"line"').replace("decay", "momentum"))
    other = line.run(*WORDS)
    assert other.returncode == 2
    assert "stages.bayes.space.momentum: expected one of learning_rate, decay" in other.stderr

    study_file.write_text(study_file.read_text().replace("momentum", "decay"))
    stage = line.run("run", "grid-slicing", "--from", "paper", *WORDS[2:])
    assert stage.returncode == 2
    assert "this task has no stage 'grid-slicing'" in stage.stderr
    without = line.run(*WORDS[:4])
    assert without.returncode == 2
    assert "this command has no demo data for the task line" in without.stderr


def test_study_file_of_the_tutorial_is_toml() -> None:
    assert tomllib.loads(block("toml", "line.toml"))["task"] == "line"


def scores(line: CommandLine, study: str) -> dict[str, list[tuple[int, float]]]:
    """Trial -> epochs with scores; every epoch once."""
    events = line.events(study)
    found: dict[str, list[tuple[int, float]]] = {e.trial: [] for e in events if isinstance(e, TrialAsked)}
    for event in events:
        if isinstance(event, TrialReported):
            found[event.trial].append((event.epoch, event.metrics["r2"]))
    assert all(len(set(pairs)) == len(pairs) for pairs in found.values())
    return found
