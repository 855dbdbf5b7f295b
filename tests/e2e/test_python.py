"""Studies from Python: the same as from the command line."""

import os
import warnings
from collections.abc import Iterator
from contextlib import chdir
from pathlib import Path
from typing import Any

import pytest
from e2e.command_line import CommandLine

import hpo as api
from hpo.journal.events import Event, StudyInterrupted, TrialFinished


@pytest.fixture
def small(hpo: CommandLine, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Any]]:
    """Options of a small study, in a folder of its own."""
    words = hpo.study("unused")
    for name in [name for name in os.environ if name.startswith(("HPO_", "MLFLOW_"))]:
        monkeypatch.delenv(name)
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.setenv(name, "")
    monkeypatch.setenv("HPO_CACHE", str(hpo.cache))
    with chdir(hpo.folder), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # those of Ray and MLflow, as in a user's process
        yield {
            "data": hpo.data,
            "study_file": Path(words[words.index("--study-file") + 1]),
            "seed": 5,
            "epochs": 1,
            "searcher": "random",
        }


def test_study_is_that_of_the_command_line_and_goes_on_after_an_error_in_a_callback(
    hpo: CommandLine, small: dict[str, Any]
) -> None:
    seen: list[Event] = []

    def fail(event: Event) -> None:
        seen.append(event)
        if isinstance(event, api.events.TrialFinished):
            raise RuntimeError("of my own")

    with pytest.raises(RuntimeError, match="of my own"):
        api.run("bayes", study="mine", trials=2, callbacks=[fail], **small)
    assert isinstance(hpo.events("mine")[-1], StudyInterrupted)
    assert sum(isinstance(event, TrialFinished) for event in seen) == 1

    seen.clear()
    study = api.run("bayes", study="mine", trials=2, callbacks=[seen.append], **small)
    assert [event.event for event in seen].count("trial-finished") == 1
    typed = hpo.run(*hpo.study("typed", "--trials", "2", "--epochs", "1", "--searcher", "random"))
    assert typed.returncode == 0, typed.stderr
    columns = ["trial", "status", "average_map", "param/f", "param/lambda_seg"]
    assert study.trials()[columns].equals(api.open_study("typed").trials()[columns])

    best = study.best()
    assert best.score == max(trial["average_map"] for trial in hpo.best("mine"))
    network = study.network(best.trial)
    (game,) = {file.parent for file in hpo.data.rglob("*.npy") if "test" in file.parts}
    spots = api.spot(network, game, nms_window_s=60)
    assert spots == sorted(spots, key=lambda spot: -spot.confidence)
    assert {spot.label for spot in spots} <= set(network.classes) and {spot.half for spot in spots} <= {1, 2}
    assert study.report().read_text().count("mine")
    assert [entry.name for entry in api.list_studies()] == ["typed", "mine"]


@pytest.mark.parametrize(
    ("stage", "options", "message"),
    [
        ("bayes", {"start": "paper"}, "expected start with a stage after the search"),
        ("final", {"study": "none"}, "there is no study 'none'"),
        ("final", {"points": [{"f": 4}]}, "expected points with the search only (bayes), got stage 'final'"),
        ("paper", {"start": "paper"}, "expected start with a stage after the search, got stage 'paper'"),
        ("paper", {"searcher": "random", "values": [1]}, "the paper's procedure has no setting 'values'"),
        ("bayes", {"points": [4]}, "expected points as tables such as {'f': 8}, got 4"),
        ("bayes", {"space": {"f": (1, 2, 3)}}, "expected two numbers as bounds, low and high, got"),
        ("bayes", {"space": {"g": 3}}, "the space has no 'g'"),
        ("bayes", {"trails": 3}, "stage bayes has no setting 'trails'"),
        ("bayes", {"labels": "v3"}, "expected labels=v1 or v2, got 'v3'"),
        ("bayes", {"games": (0, 1)}, "expected games as two whole numbers above 0"),
        ("bayes", {"data": "/nowhere"}, "no such data folder: /nowhere"),
    ],
)
def test_mistake_is_an_error_that_says_what_was_expected(
    small: dict[str, Any], stage: str, options: dict[str, Any], message: str
) -> None:
    for function in (api.run, api.plan):
        with pytest.raises(api.UserError) as refused:
            function(stage, **{**small, **options})
        assert message in str(refused.value)


def test_plan_says_what_a_run_would_do_and_starts_nothing(hpo: CommandLine, small: dict[str, Any]) -> None:
    plan = api.plan(
        "bayes", study="mine", trials=3, points=[{"f": 4}], space={"lambda_seg": (0.5, 5)}, **small
    )
    (stage,) = plan.stages
    assert (plan.study, stage.stage, stage.trials, stage.epochs) == ("mine", "bayes", 3, 1)
    assert stage.estimated_s is not None and stage.estimated_s > 0
    assert [point["f"] for point in stage.first][-1] == 4
    assert "0.5 to 5, logarithmic" in str(plan) and "bayes: 3 trials at most" in str(plan)
    printed = hpo.run(*hpo.study("mine", "--trials", "3"), "--dry-run")
    kinds = [line.split()[0] for line in printed.stdout.splitlines()]
    assert kinds[:5] == [line.split()[0] for line in str(plan).splitlines()][:5]
    assert api.list_studies() == []

    whole = api.plan("paper", study="all", trials=2, seeds=2, final_epochs=3, **small)
    assert [(stage.stage, stage.epochs) for stage in whole.stages] == [
        ("bayes", 1),
        ("grid-slicing", 1),
        ("final", 3),
    ]


def test_study_resumes_from_python_and_so_does_its_copy(small: dict[str, Any]) -> None:
    def stop(event: Event) -> None:
        if isinstance(event, TrialFinished):
            raise RuntimeError("enough")

    with pytest.raises(RuntimeError, match="enough"):
        api.run("bayes", study="mine", trials=2, callbacks=[stop], **small)
    seen: list[Event] = []
    study = api.open_study("mine").resume(callbacks=[seen.append])
    assert [event.event for event in seen].count("trial-finished") == 1
    assert list(study.trials().status) == ["finished", "finished"]
    assert study.resume().name == "mine"
    assert study.resume(fork="copy").name == "copy"
    with pytest.raises(api.UserError, match="there is no /nowhere"):
        study.resume(data="/nowhere")
