"""Tasks made of one function: what it gets, what it may return, and how its trials continue."""

import gc
import logging
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch

from hpo.config.stages import SEARCH
from hpo.tasks.base.function_run import FunctionArray, FunctionConfig, FunctionRun, checked_score
from hpo.tasks.base.function_task import function_task
from hpo.tasks.base.own_code import place_in_task
from hpo.tasks.base.registry import parse_study, task_named
from hpo.tasks.base.splits import DataRequest
from model.errors import ConfigError, DataError
from model.training.outcomes import DivergedError, FailedError, Validation
from model.training.schedule import TrainingSchedule

SPACE = {"rate": (0.001, 1.0, "log"), "depth": (1, 8), "kind": ["plain", "wide"]}
OWN = {"rate": 0.1, "depth": 2, "kind": "plain"}


def whole(parameters: dict[str, Any], seed: int, report: Any) -> float:
    return float(parameters["rate"])


def stepwise(parameters: dict[str, Any], seed: int, report: Any) -> None:
    total = report.state or 0
    for epoch in range(report.epoch, report.epochs):
        total += epoch
        report(total / 100, state=total)


def forgetful(parameters: dict[str, Any], seed: int, report: Any) -> None:
    for epoch in range(report.epochs):
        report(epoch / 10)


def returning_its_last(parameters: dict[str, Any], seed: int, report: Any) -> float:
    total = report.state or 0
    for epoch in range(report.epoch, report.epochs - 1):
        total += epoch + 1
        report(total / 100, state=total)
    return 0.5


def run_of(function: Callable[..., Any], *, epochs: int = 1, validate_every: int = 1) -> FunctionRun:
    schedule = TrainingSchedule(epochs=epochs, validate_every=validate_every)
    return FunctionRun(function, FunctionConfig(parameters={"rate": 0.25}, seed=3, schedule=schedule))


def ended(run: FunctionRun) -> list[tuple[int, float]]:
    """Epochs and scores up to the end."""
    found = []
    while run.epoch < run.config.schedule.epochs:
        score = run.advance()
        found.append((run.epoch, score))
    return found


def test_study_file_needs_nothing_but_the_name_of_the_task() -> None:
    task = function_task(whole, space=SPACE, own=OWN, score="R2", trials=7)
    study = task.study_file.model_validate({"task": task.name})
    stage = study.stages.named(SEARCH)
    assert stage.trials == 7 and list(stage.space) == list(SPACE)
    assert [stage.space[name].type for name in SPACE] == ["float", "int", "choice"]
    assert stage.space["rate"].log and not stage.space["depth"].log
    assert study.hyperparameters.model_dump() == OWN
    assert task.score.label == "R2" and task.procedure == (SEARCH,)
    assert "final" not in study.stages.names()


def test_final_stage_needs_a_function_for_the_test_split() -> None:
    study = function_task(whole, space=SPACE, own=OWN).study_file.model_validate({"task": "whole"})

    with pytest.raises(ConfigError, match=r"no stage 'final'(?s:.*)function test="):
        study.stages.require(["final"])


def test_study_file_may_change_every_default() -> None:
    task = function_task(whole, space=SPACE, own=OWN, test=lambda parameters, seed, state: 0.5)
    space = {"rate": {"type": "float", "low": 0.1, "high": 0.2}}
    study = task.study_file.model_validate(
        {
            "task": task.name,
            "training": {"epochs": 4},
            "hyperparameters": {"depth": 5},
            "stages": {"bayes": {"space": space}, "final": {"seeds": 2}},
        }
    )
    assert list(study.stages.named(SEARCH).space) == ["rate"] and study.stages.named(SEARCH).trials == 20
    assert study.stages.named("final").seeds == 2
    assert study.hyperparameters.model_dump() == {**OWN, "depth": 5}


def with_two_arguments(parameters: dict[str, Any], seed: int) -> float:
    return 0.5


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"space": {"rate": 0.5}, "own": {"rate": 0.5}}, "space, rate: expected .low, high., .low, high, "),
        ({"space": {"rate": (0.1, 1, "ln")}, "own": {"rate": 1}}, "space, rate: expected"),
        ({"space": {"a b": (0, 1)}, "own": {"a b": 1}}, "space: expected a name such as learning_rate"),
        (
            {"space": {"seed": (1, 9)}, "own": {"seed": 1}},
            "'seed': expected a name of its own, but the seed of",
        ),
        (
            {"space": {"r": (1, 9), "r_frames": (1, 9)}, "own": {"r": 1, "r_frames": 2}},
            "'r_frames': expected a name of its own, but the hyperparameter 'r' is 'r' in tables and MLflow",
        ),
        ({"own": {"rate": 0.1}}, "own: expected a value of rate, depth, kind, got rate"),
        ({"own": {**OWN, "depth": 99}}, "own, depth: expected a value of the space, whose first point"),
        ({"own": {**OWN, "depth": "two"}}, "invalid study file function_task of .*: 1 setting"),
        ({"space": {**SPACE, "depth": (8, 1)}}, "invalid study file function_task of .*: 1 setting"),
        ({"function": lambda parameters: 0.5}, "expected a function .parameters, seed, report. -> score"),
        ({"function": with_two_arguments}, r"in a module, got with_two_arguments\(parameters, seed\)"),
        ({"function": partial(whole)}, "defined with def in a module, got functools.partial"),
        ({"space": {**SPACE, "rate": (np.float32(0.1), 1.0)}}, "with plain Python numbers"),
        ({"space": [("rate", (0, 1))]}, r"space: expected a dictionary .*, got \[\('rate', \(0, 1\)\)\]"),
        ({"space": {3: (0, 1)}}, "space: expected a dictionary .*, got {3: .0, 1.}"),
        ({"own": ["rate", "depth", "kind"]}, "own: expected a dictionary with the names of hyperparameters"),
        ({"score": 3}, "score: expected a name for tables, such as accuracy, got 3"),
        ({"score": ""}, "score: expected a name for tables, such as accuracy, got ''"),
        ({"score": "R2\nof rows"}, "score: expected a name for tables"),
        ({"files": "rows.csv"}, "files: expected a list of paths, got 'rows.csv'"),
        ({"files": [3]}, r"files: expected a list of paths, got \[3\]"),
    ],
)
def test_wrong_declarations_are_named(changes: dict[str, Any], message: str) -> None:
    given = {"function": whole, "space": SPACE, "own": OWN, **changes}
    with pytest.raises(ConfigError, match=message):
        function_task(given.pop("function"), **given)


def test_hyperparameters_may_have_names_of_methods_of_pydantic() -> None:
    task = function_task(whole, space={"copy": (0, 1), "json": (0.0, 1.0)}, own={"copy": 0, "json": 0.5})
    study = task.study_file.model_validate({"task": task.name})
    assert study.hyperparameters.model_dump() == {"copy": 0, "json": 0.5}


def test_code_of_a_decorated_function_is_its_own_file_not_that_of_the_decorator() -> None:
    task = function_task(torch.no_grad()(whole), space=SPACE, own=OWN)
    assert task.code_files == (Path(__file__).resolve(),)


def test_function_without_reports_runs_whole() -> None:
    assert ended(run_of(whole)) == [(1, 0.25)]
    assert ended(run_of(whole, epochs=5)) == [(5, 0.25)]


def test_reports_are_validations_and_the_last_one_is_the_result() -> None:
    assert ended(run_of(stepwise, epochs=4)) == [(1, 0.0), (2, 0.01), (3, 0.03), (4, 0.06)]
    assert ended(run_of(stepwise, epochs=5, validate_every=2)) == [(2, 0.01), (4, 0.06), (5, 0.1)]


@pytest.mark.parametrize("function", [stepwise, forgetful])
def test_interrupted_trial_continues_with_the_same_scores(function: Callable[..., Any]) -> None:
    uninterrupted = ended(run_of(function, epochs=5))
    first = run_of(function, epochs=5)
    begun = [(first.advance() and 0) or first.epoch for _ in range(2)]
    second = run_of(function, epochs=5)
    second.load_state(first.state())
    assert begun == [1, 2] and ended(second) == uninterrupted[2:]


@pytest.mark.parametrize("interrupted_after", [1, 2])
def test_trial_that_continues_keeps_its_last_state_if_its_last_score_is_what_it_returns(
    interrupted_after: int,
) -> None:
    first = run_of(returning_its_last, epochs=3)
    for _ in range(interrupted_after):
        first.advance()
    second = run_of(returning_its_last, epochs=3)
    second.load_state(first.state())
    assert ended(second)[-1] == (3, 0.5) and second.kept == 3


def test_what_each_function_prints_and_logs_is_in_a_file_of_its_trial(tmp_path: Path) -> None:
    logger, handlers = logging.getLogger("mine"), []

    def talking(parameters: dict[str, Any], seed: int, report: Any) -> None:
        print("start of", seed)
        if not handlers:  # as logging.basicConfig does in the first trial of a process
            handlers.append(logging.StreamHandler())
            logger.addHandler(handlers[0])
        for epoch in range(report.epochs):
            logger.warning("%d: epoch %d", seed, epoch)
            report(0.5)
        print("end of", seed, file=sys.stderr)
        subprocess.run(["echo", "a program"], stdout=sys.stdout, check=True)
        sys.stdout.buffer.write(b"bytes\n")

    def silent(parameters: dict[str, Any], seed: int, report: Any) -> float:
        return 0.5

    schedule, usual = TrainingSchedule(epochs=2, validate_every=1), sys.stdout
    array = FunctionArray("score")
    for seed, function in ((1, talking), (2, talking), (3, silent)):
        run = FunctionRun(function, FunctionConfig(parameters={}, seed=seed, schedule=schedule))
        run.output = tmp_path / f"{seed}.txt"
        array.slots.append(run)
    while array.slots:
        array.advance()
        array.slots = [slot for slot in array.slots if slot.epoch < 2]
    for seed in (1, 2):
        text = (tmp_path / f"{seed}.txt").read_text()
        assert text == f"start of {seed}\n{seed}: epoch 0\n{seed}: epoch 1\nend of {seed}\na program\nbytes\n"
    assert not (tmp_path / "3.txt").exists() and sys.stdout is usual
    logger.removeHandler(handlers[0])


def test_folder_that_a_function_changes_into_is_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    seen = []

    def moving(parameters: dict[str, Any], seed: int, report: Any) -> None:
        seen.append(Path.cwd())
        with TemporaryDirectory(dir=tmp_path) as own:
            os.chdir(own)
            for _ in range(report.epochs):
                report(0.5)
                seen.append(Path.cwd())

    array = FunctionArray("score")
    array.slots = [run_of(moving, epochs=2), run_of(moving, epochs=2)]
    array.advance()
    assert Path.cwd() == tmp_path and seen == [tmp_path, tmp_path]
    assert all(isinstance(outcome.result, Validation) for outcome in array.advance())
    assert Path.cwd() == tmp_path and len(seen) == 6
    assert seen[2] == seen[3] != seen[4] == seen[5]


def test_function_of_an_abandoned_trial_ends() -> None:
    running = threading.active_count()
    run = run_of(stepwise, epochs=5)
    run.advance()
    thread = next(each for each in threading.enumerate() if each.name.endswith("(run)"))
    assert threading.active_count() == running + 1
    del run
    gc.collect()
    thread.join(timeout=10)
    assert not thread.is_alive()


SOURCE = """
import hpo

def fit(parameters, seed, report):
    if parameters["way"] == "range":
        report(-0.25)
    if parameters["way"] == "state":
        report(0.5, state={"model": object()})
    if parameters["way"] == "often":
        report(0.5)
        report(0.5)
    if parameters["way"] == "raise":
        raise KeyError("rows")
    return {"loss": 7.5, "text": "high", "nothing": None, "nan": float("nan")}[parameters["way"]]

WAYS = ["range", "state", "often", "raise", "loss", "text", "nothing", "nan"]
TASK = hpo.function_task(fit, space={"way": WAYS}, own={"way": "range"}, files=["rows.csv"])
"""


@pytest.fixture
def wrong(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    (tmp_path / "wrong_function.py").write_text(SOURCE)
    monkeypatch.syspath_prepend(tmp_path)
    task_named("wrong_function")
    yield sys.modules["wrong_function"]
    sys.modules.pop("wrong_function")


@pytest.mark.parametrize(
    ("way", "message", "place"),
    [
        ("range", "expected a score in .0, 1., where higher is better, got -0.25; cut off", "line 6, in fit"),
        ("state", "cannot store state.model in a checkpoint", "line 8, in fit"),
        ("often", "expected 1 report at most, one for each epoch", "line 11, in fit"),
        ("raise", "KeyError: 'rows'", "line 13, in fit"),
        ("loss", "expected a score from fit .wrong_function.py, line 4. in .0, 1..* got 7.5", ""),
        ("text", "expected a score from fit .* a number in .0, 1., got str", ""),
        ("nothing", "expected a score from fit .* got NoneType", ""),
        ("nan", "expected a score from fit .* got nan", ""),
    ],
)
def test_what_a_function_returns_is_checked_at_its_own_line(
    wrong: ModuleType, way: str, message: str, place: str
) -> None:
    study = parse_study({"task": "wrong_function"}, file="wrong.toml")
    task = wrong.TASK
    run = task.slot(study, {"way": way}, task.shape(None), seed=1, data_seed=1)
    array = task.array(task.shared(study, task.shape(None), "float32"))
    array.slots = [run]
    (outcome,) = array.advance()
    assert isinstance(outcome.result, FailedError) and array.slots == []
    assert isinstance(outcome.result, DivergedError) == (way == "nan")
    with pytest.raises(FailedError, match=message):
        raise outcome.result
    shown = place_in_task(outcome.result.__cause__ or outcome.result, "wrong_function")
    assert place in shown


@pytest.mark.parametrize(
    ("score", "known"),
    [
        (np.float32(1.0000001), 1.0),
        (1.0000000000000002, 1.0),
        (-1e-17, 0.0),
        (np.float32(0.5), 0.5),
        (torch.tensor(0.5), 0.5),
    ],
)
def test_score_beside_its_interval_by_rounding_is_its_bound(score: Any, known: float) -> None:
    assert checked_score(score) == known


@pytest.mark.parametrize(
    ("score", "error", "shown"),
    [(1.00001, FailedError, "got 1.00001;"), (10**400, DivergedError, "got inf")],
)
def test_score_outside_its_interval_is_shown_as_it_is(score: Any, error: type[Exception], shown: str) -> None:
    with pytest.raises(error, match=shown):
        checked_score(score)


def test_changed_file_of_the_function_is_another_data_set(wrong: ModuleType, tmp_path: Path) -> None:
    study = parse_study({"task": "wrong_function"}, file="wrong.toml")
    request = DataRequest(place=str(tmp_path), features=None, counts=None, cache=tmp_path)
    with pytest.raises(DataError, match="cannot read a file of the task"):
        wrong.TASK.open_data(request, study, lambda *_: None)
    digests = []
    for content in ("a", "b", "a"):
        (tmp_path / "rows.csv").write_text(content)
        digests.append(wrong.TASK.open_data(request, study, lambda *_: None).digest)
    assert digests[0] == digests[2] != digests[1]


def test_best_state_reaches_the_function_for_the_test_split(tmp_path: Path) -> None:
    seen = []

    def test(parameters: dict[str, Any], seed: int, state: Any) -> float:
        seen.append((parameters["rate"], seed, state))
        return 0.75

    task = function_task(stepwise, space=SPACE, own=OWN, epochs=3, test=test)
    study = task.study_file.model_validate({"task": task.name})
    shape = task.shape(None)
    slot = task.slot(study, {"rate": 0.5}, shape, seed=4, data_seed=4)
    array = task.array(None)
    array.slots = [slot]
    validations = [array.advance()[0].result for _ in range(3)]
    assert all(isinstance(each, Validation) for each in validations)
    task.save_network(slot, shape, None, tmp_path / "best.pt", {})
    untrained = task.slot(study, {"rate": 0.5}, shape, seed=4, data_seed=4)
    tested = task.test(tmp_path / "best.pt", untrained, None, None, None)  # type: ignore[arg-type]
    assert tested == {"score": 0.75} and seen == [(0.5, 4, 3)]
