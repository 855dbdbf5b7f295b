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
        ("bayes", {"trails": 3}, "stage bayes has no setting 'trails'"),
        ("bayes", {"labels": "v3"}, "expected --labels v1 or v2, got 'v3'"),
        ("bayes", {"games": (0, 1)}, "expected games as two numbers above 0"),
        ("bayes", {"data": "/nowhere"}, "no such data folder: /nowhere"),
    ],
)
def test_mistake_is_an_error_that_says_what_was_expected(
    small: dict[str, Any], stage: str, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(api.UserError) as refused:
        api.run(stage, **{**small, **options})
    assert message in str(refused.value)
