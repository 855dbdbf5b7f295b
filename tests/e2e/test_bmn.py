"""BMN on ActivityNet through the command line: the grid, killed and resumed, then the losses compared."""

from collections import Counter
from pathlib import Path

import pytest
from e2e.command_line import CommandLine, kill_group
from waiting import wait_until

from hpo.journal.events import Event, StageFinished, StageStarted, TrialAsked, TrialFinished, TrialReported
from model.data.activitynet.features import feature_file
from model.data.activitynet.synthetic import make_dataset, make_videos

STUDY_FILE = """
task = "bmn"
[network]
positions = 12
bins = 3
hidden_1d = 8
hidden_2d = 4
hidden_3d = 6
[training]
epochs = 3
batch_videos = 4
precision = "float32"
[stages.bmn-slicing]
K1_positions = [-1, -3]
seeds = 1
[stages.bmn-compare]
runs = 2
"""


SPACE = 'trials = 2\nspace.lambda_tem = { type = "float", low = 0.5, high = 2.0 }\n'


@pytest.fixture
def videos(hpo: CommandLine) -> CommandLine:
    """A folder with made videos and a study file."""
    made = make_videos({"training": 8, "validation": 4}, classes=2, seed=0)
    make_dataset(hpo.folder / "videos", made, positions=12, dims=8, seed=0)
    (hpo.folder / "small.toml").write_text(STUDY_FILE)
    return hpo


NEW = ("--data", "videos", "--study-file", "./small.toml")


@pytest.mark.slow
def test_grid_killed_and_resumed_ends_as_an_uninterrupted_one_and_the_losses_start_from_it(
    videos: CommandLine,
) -> None:
    whole = videos.run("run", "bmn-slicing", *NEW, "--study", "whole")
    assert whole.returncode == 0, whole.stderr
    assert "hpo run bmn-compare --study whole" in whole.stderr

    process = videos.start("run", "bmn-slicing", *NEW, "--study", "killed")
    wait_until(lambda: count(videos.events("killed"), TrialFinished) >= 2)
    kill_group(process)
    resumed = videos.run("resume", "killed")
    assert resumed.returncode == 0, resumed.stderr
    assert scores(videos.events("killed")) == scores(videos.events("whole"))

    compared = videos.run("run", "bmn-compare", "--study", "killed")
    assert compared.returncode == 0, compared.stderr
    lines = compared.stdout.splitlines()
    top = next(number for number, line in enumerate(lines) if line.startswith("AR@100"))
    assert [row.split()[0] for row in lines[top : top + 4]] == ["AR@100", "AUC", "Average-mAP", "Runs"]
    events = videos.events("killed")
    found = next(e for e in events if isinstance(e, StageFinished) and e.stage == "bmn-slicing").chosen
    start = next(e for e in events if isinstance(e, StageStarted) and e.stage == "bmn-compare").start
    assert start == found and found["tem_loss"] == "context-aware"
    page = videos.run("report", "killed")
    assert page.returncode == 0, page.stderr
    html = Path(page.stdout.strip()).read_text()
    assert "bmn-compare" in html and "K1 is in temporal positions" in html


def test_stage_of_another_task_and_data_that_are_not_there_are_one_line(videos: CommandLine) -> None:
    for words, complaint in (
        (("run", "bmn-slicing", "--data", "nowhere"), "found none"),
        (
            ("run", "bmn-slicing", *NEW, "--videos", "9,9"),
            "expected 9 videos of the subset 'training', found 8",
        ),
        (("run", "bmn-compare", *NEW, "--tem-loss", "focal"), "expected 'bmn' or 'context-aware'"),
        (("run", "ablation", *NEW, "--from", "paper"), "this task has no stage 'ablation'"),
    ):
        refused = videos.run(*words)
        assert refused.returncode == 2, refused.stderr
        assert complaint in refused.stderr and "Traceback" not in refused.stderr


def test_videos_without_features_are_refused_with_a_way_out_and_left_out_with_the_option(
    videos: CommandLine,
) -> None:
    missing = feature_file(videos.folder / "videos", "v_training_00003", 12)
    missing.unlink()
    for words in (("run", "bmn-slicing", *NEW, "--dry-run"), ("data", "check", "videos")):
        refused = videos.run(*words)
        assert refused.returncode == 2 and "Traceback" not in refused.stderr
        told = refused.stderr + refused.stdout
        assert f"no feature file for 1 of 8 training videos ({missing.stem})" in told
        assert "--skip-missing" in told
    for command in (("bmn-slicing", *NEW), ("bayes", *NEW[:2], "--study-file", "./searched.toml")):
        (videos.folder / "searched.toml").write_text(f"{STUDY_FILE}[stages.bayes]\n{SPACE}")
        plan = videos.run("run", *command, "--dry-run", "--skip-missing")
        assert plan.returncode == 0, plan.stderr
        assert "7 videos (1 left out: no feature file)" in plan.stdout


def count(events: list[Event], kind: type[Event]) -> int:
    return sum(isinstance(event, kind) for event in events)


def scores(events: list[Event]) -> dict[str, list[tuple[int, float]]]:
    """Trial -> epochs with scores; every trial asked once, every epoch told once."""
    assert set(Counter(event.trial for event in events if isinstance(event, TrialAsked)).values()) == {1}
    told = [event for event in events if isinstance(event, TrialReported)]
    assert set(Counter((event.trial, event.epoch) for event in told).values()) == {1}
    found: dict[str, list[tuple[int, float]]] = {}
    for event in told:
        found.setdefault(event.trial, []).append((event.epoch, event.metrics["auc"]))
    return found
