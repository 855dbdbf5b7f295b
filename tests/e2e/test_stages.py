"""The stages after the search through the command line, killed in each of them."""

import json
from collections import Counter

import pytest
from e2e.command_line import CommandLine, kill_group
from waiting import wait_until

from hpo.journal.events import (
    StageAsked,
    StageFinished,
    TrialAsked,
    TrialFinished,
    TrialReported,
    TrialTested,
)

STAGES = """
[stages.grid-slicing]
seeds = 1
[stages.grid-slicing.grid.default]
K1_s = [-20]
K2_s = [-10]
K3_s = [5, 10]
K4_s = [20]
[stages.final]
candidates = 1
seeds = 2
"""
SWEEP = """
[stages.lambda-sweep]
values = [0.1, 10.0]
"""


def paper(hpo: CommandLine, name: str) -> list[str]:
    """Words that run the whole procedure on a small budget."""
    words = hpo.study(name)
    study_file = hpo.folder / "small.toml"
    text = study_file.read_text().replace("epochs = 4", "epochs = 2").replace("trials = 4", "trials = 2")
    study_file.write_text(text + STAGES)
    return [word if word != "bayes" else "paper" for word in words]


@pytest.mark.slow
def test_study_killed_in_every_stage_ends_as_an_uninterrupted_one(hpo: CommandLine) -> None:
    whole = hpo.run(*paper(hpo, "whole"))
    assert whole.returncode == 0, whole.stderr

    starts = paper(hpo, "killed"), ["resume", "killed"], ["resume", "killed"]
    stages = ("bayes", 1), ("grid-slicing", 2), ("final", 1)
    for words, (stage, finished) in zip(starts, stages, strict=True):
        process = hpo.start(*words)
        wait_until(lambda stage=stage, finished=finished: ended(hpo, "killed", stage) >= finished)
        kill_group(process)
    resumed = hpo.run("resume", "killed")
    assert resumed.returncode == 0, resumed.stderr

    assert outcome(hpo, "killed") == outcome(hpo, "whole")
    events = hpo.events("killed")
    asked = Counter(event.trial for event in events if isinstance(event, TrialAsked))
    reported = Counter((e.trial, e.epoch) for e in events if isinstance(e, TrialReported))
    tested = Counter(event.trial for event in events if isinstance(event, TrialTested))
    assert set(asked.values()) == set(reported.values()) == set(tested.values()) == {1}
    assert len(tested) == 4
    search = next(event for event in events if isinstance(event, StageAsked)).settings
    assert (search["searcher"], search["scheduler"]) == ("bayes-opt", "none")


def test_stages_follow_one_after_the_other_and_start_from_what_was_found(hpo: CommandLine) -> None:
    assert hpo.run(*hpo.study("one", "--trials", "2")).returncode == 0
    ablation = hpo.run("run", "ablation", "--study", "one", "--seeds", "2", "--epochs", "1")
    assert ablation.returncode == 0, ablation.stderr
    rows = [line for line in ablation.stdout.splitlines() if line.startswith(("full model", "(i"))]
    # The paper's scores are those of SoccerNet; beside others they would mislead.
    assert len(rows) == 5 and "0.625" not in ablation.stdout
    best = hpo.best("one")[0]
    first = next(e for e in hpo.events("one") if isinstance(e, TrialAsked) and e.stage == "ablation")
    found = next(e for e in hpo.events("one") if isinstance(e, StageFinished) and e.stage == "bayes")
    assert found.best_trial in {trial["trial"] for trial in hpo.best("one")} and best
    assert first.parameters == found.chosen

    again = hpo.run("run", "ablation", "--study", "one")
    assert again.returncode == 2
    assert "already has a stage ablation" in again.stderr

    goes_on = ("run", "sensitivity", "--study", "one", "--dry-run")
    same = hpo.run(*goes_on, "--data", str(hpo.data), "--study-file", "small.toml", "--device", "cpu")
    assert same.returncode == 0, same.stderr
    elsewhere = hpo.run(*goes_on, "--data", ".")
    assert (elsewhere.returncode, elsewhere.stderr.count("error: ")) == (2, 1), elsewhere.stderr
    for option, value in (("--seed", "6"), ("--seed", "0"), ("--games", "1,1"), ("--study-file", "calf")):
        other = hpo.run(*goes_on, option, value)
        assert other.returncode == 2
        assert (
            "study 'one' was started with" in other.stderr
            and "hpo run sensitivity --from one --study NEW" in other.stderr
        )

    search = hpo.run("run", "bayes", "--study", "one", "--seed", "6")
    assert search.returncode == 2 and f"hpo run bayes --study NEW --data {hpo.data} " in search.stderr
    assert "--seed 6" in search.stderr and "--from" not in search.stderr

    # Without data, another configuration belongs to the study too, not to a new one on generated data.
    stays = hpo.run("run", "sensitivity", "--from", "paper", "--dry-run")
    assert stays.returncode == 0, stays.stderr
    assert stays.stdout.splitlines()[0] == same.stdout.splitlines()[0]

    # A stage that has not run takes its table from another file.
    (hpo.folder / "factors.toml").write_text(
        (hpo.folder / "small.toml").read_text() + "\n[stages.sensitivity]\nfactors = [0.5]\nseeds = 1\n"
    )
    before, fewer = (
        int(found.split(": ")[1].split()[0])
        for found in (
            line
            for run in (same, hpo.run(*goes_on, "--study-file", "./factors.toml"))
            for line in run.stdout.splitlines()
            if line.startswith("stage ")
        )
    )
    assert 1 < fewer < before

    # Another study from what this one found takes its data and settings.
    sweep = hpo.run("run", "lambda-sweep", "--study", "two", "--from", "one", "--seeds", "1", "--dry-run")
    assert sweep.returncode == 0, sweep.stderr
    assert "lambda-sweep: 6 trials at most" in sweep.stdout


def test_configuration_can_come_from_a_file_and_from_mlflow(hpo: CommandLine) -> None:
    words = ["--data", str(hpo.data), "--study-file", "small.toml", "--seeds", "1", "--epochs", "1"]
    assert hpo.run(*hpo.study("base", "--trials", "1")).returncode == 0
    with (hpo.folder / "small.toml").open("a") as study_file:
        study_file.write(SWEEP)
    (hpo.folder / "mine.json").write_text(json.dumps({"f": 3, "lambda_seg": 2.5, "K4.goal": 150}))
    for source, name in (("mine.json", "from-file"), (mlflow_run(hpo, "base"), "from-run")):
        done = hpo.run("run", "lambda-sweep", "--study", name, "--from", source, *words)
        assert done.returncode == 0, done.stderr
    mine = next(e for e in hpo.events("from-file") if isinstance(e, TrialAsked)).parameters
    assert (mine["f"], mine["K4_frames.goal"], mine["K3_frames.goal"]) == (3, 150, 120.0)
    recorded = next(e for e in hpo.events("base") if isinstance(e, TrialAsked)).parameters
    copied = next(e for e in hpo.events("from-run") if isinstance(e, TrialAsked)).parameters
    assert copied["f"] == recorded["f"]


def test_search_learns_from_the_scores_of_an_earlier_study(hpo: CommandLine) -> None:
    words = ("--trials", "2", "--epochs", "1", "--searcher", "optuna-tpe")
    assert hpo.run(*hpo.study("early", *words)).returncode == 0
    warm = hpo.run(*hpo.study("late", *words, "--warm-start", "early"))
    assert warm.returncode == 0, warm.stderr
    asked = next(e for e in hpo.events("late") if isinstance(e, StageAsked))
    assert [point["score"] for point in asked.known["points"]] == [
        e.score for e in hpo.events("early") if isinstance(e, TrialFinished)
    ]
    words = ("--trials", "2", "--epochs", "2", "--searcher", "optuna-tpe")
    other = hpo.run(*hpo.study("later", *words, "--warm-start", "early"))
    assert other.returncode == 2
    assert "which has other epochs" in other.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["grid-slicing"], "there is no study yet"),
        (["final", "--study", "nothing"], "there is no study 'nothing'"),
        (
            ["ablation", "--from", "nowhere"],
            "expected --from paper, a study, STUDY/TRIAL, a file or an MLflow run, got 'nowhere'",
        ),
        (["ablation", "--from", "wrong.json"], "unknown hyperparameter: 'gamma'"),
        (["ablation", "--from", "unordered.json"], "K1 < K2 < 0 < K3 < K4"),
        (["grid-slicing", "--from", "paper", "--mode", "all"], "'class-parallel'"),
    ],
)
def test_mistake_is_one_clear_error(hpo: CommandLine, words: list[str], said: str) -> None:
    (hpo.folder / "wrong.json").write_text('{"gamma": 1}')
    (hpo.folder / "unordered.json").write_text('{"K1.goal": 5}')
    answer = hpo.run("run", *words, *(["--data", str(hpo.data)] if "--from" in words else []))
    assert answer.returncode == 2, answer.stdout + answer.stderr
    assert said in answer.stderr
    assert "Traceback" not in answer.stderr


def ended(hpo: CommandLine, study: str, stage: str) -> int:
    events = hpo.events(study)
    return sum(isinstance(event, TrialFinished) and event.trial.startswith(stage) for event in events)


def outcome(hpo: CommandLine, study: str) -> dict[str, object]:
    """What was asked, reached, tested and chosen, without what depends on the clock."""
    events = hpo.events(study)
    return {
        "asked": {e.trial: (e.parameters, e.seed, e.role) for e in events if isinstance(e, TrialAsked)},
        "scores": {e.trial: (e.score, e.epoch) for e in events if isinstance(e, TrialFinished)},
        "tested": {e.trial: e.metrics for e in events if isinstance(e, TrialTested)},
        "chosen": {e.stage: (e.chosen, e.role, e.best_trial) for e in events if isinstance(e, StageFinished)},
    }


def mlflow_run(hpo: CommandLine, study: str) -> str:
    """Id of the run of a study's first trial."""
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{hpo.folder / 'hpo-runs' / 'mlflow.db'}")
    experiment = client.get_experiment_by_name(study)
    assert experiment is not None
    (run,) = client.search_runs([experiment.experiment_id], "tags.`hpo.trial` = 'bayes-0001'")
    return str(run.info.run_id)
