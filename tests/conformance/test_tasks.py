"""What the service expects of every task, whatever it trains."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch

from hpo.config.study_file import StudyFile
from hpo.tasks.base.registry import AnyTask, known_tasks, parse_study, task_named
from hpo.tasks.base.splits import DataRequest, OpenedData
from hpo.tasks.base.task import StageContext
from model.data.activitynet.synthetic import make_dataset, make_videos
from model.data.synthetic import write_synthetic
from model.errors import ConfigError
from model.training.checkpoint import load_checkpoint
from model.training.outcomes import Validation

CPU = torch.device("cpu")
TABLES: dict[str, dict[str, Any]] = {
    "calf": {
        "training": {
            "epochs": 3,
            "validate_every": 1,
            "sampler": "balanced",
            "batch_size": 4,
            "chunks_per_epoch": 8,
            "precision": "float32",
        },
        "stages": {"bayes": {"trials": 2, "space": {"f": {"type": "int", "low": 2, "high": 8}}}},
    },
    "bmn": {
        "network": {"positions": 12, "bins": 3, "hidden_1d": 8, "hidden_2d": 4, "hidden_3d": 6},
        "training": {"epochs": 3, "batch_videos": 4, "precision": "float32"},
        "stages": {
            "bayes": {"trials": 2, "space": {"lambda_tem": {"type": "float", "low": 0.5, "high": 2.0}}}
        },
    },
}


def make_games(folder: Path) -> None:
    write_synthetic(folder, games={"train": 1, "valid": 1, "test": 1}, dims=8, minutes=15, seed=2)


def make_made_videos(folder: Path) -> None:
    videos = make_videos({"training": 6, "validation": 4}, classes=2, seed=2)
    make_dataset(folder, videos, positions=12, dims=8, seed=2)


DATA: dict[str, Callable[[Path], None]] = {"calf": make_games, "bmn": make_made_videos}


@dataclass(frozen=True)
class Opened:
    """A task with a small study on small data."""

    task: AnyTask
    study: StudyFile
    data: OpenedData[Any]
    folder: Path

    def outcomes(self, slot: Any, epochs: int) -> list[Validation]:
        """Train the slot, alone, from where it is to the end of ``epochs``."""
        shared = self.task.shared(self.study, self.data.shape, "float32")
        train, valid = (self.task.open_split(split) for split in (self.data.train, self.data.valid))
        array = self.task.array(shared, train=train, valid=valid, device=CPU, on_note=lambda _: None)
        array.slots = [slot]
        found: list[Validation] = []
        while not found or found[-1].epoch < epochs:
            (outcome,) = array.advance()
            assert isinstance(outcome.result, Validation), outcome.result
            found.append(outcome.result)
        return found

    def save(self, slot: Any, file: Path, notes: dict[str, Any]) -> None:
        """Write the slot's network."""
        shared = self.task.shared(self.study, self.data.shape, "float32")
        self.task.save_network(slot, self.data.shape, shared, file, notes)

    def slot(self, *, seed: int = 0) -> Any:
        """An untrained trial of the study file's own configuration."""
        own = self.task.own_configuration(self.study, self.data.shape)
        return self.task.slot(self.study, own, self.data.shape, seed=seed, data_seed=seed)


@pytest.fixture(scope="module", params=sorted(TABLES))
def opened(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Opened:
    name, folder = request.param, tmp_path_factory.mktemp("task")
    DATA[name](folder / "data")
    study = parse_study({"task": name, **TABLES[name]}, file="test")
    wanted = DataRequest(place=str(folder / "data"), features=None, counts=None, cache=folder / "cache")
    task = task_named(name)
    return Opened(task, study, task.open_data(wanted, study, lambda *_: None), folder)


def scores_of(validations: list[Validation]) -> list[dict[str, float]]:
    """Everything that does not depend on the clock."""
    return [
        {name: value for name, value in validation.metrics.items() if not name.endswith("_per_s")}
        for validation in validations
    ]


def test_every_task_is_under_test() -> None:
    assert sorted(TABLES) == known_tasks()


def test_what_a_task_says_of_itself_fits_together(opened: Opened) -> None:
    task, stages = opened.task, opened.study.stages.names()
    assert task.name == opened.study.task
    assert {*task.finders, *task.procedure} <= set(stages)
    assert task.deciding[0] == task.procedure[-1] and task.deciding[-1] == task.finders[0]
    for split in (opened.data.train, opened.data.valid):
        assert split.items > 0
        assert task.describe_split(task.open_split(split))
    shape = opened.data.shape
    assert task.shape_from_json(task.shape_to_json(shape)) == shape
    assert task.shape(task.open_split(opened.data.train)) == shape


def test_own_configuration_can_be_trained_and_one_out_of_bounds_is_refused(opened: Opened) -> None:
    task, shape = opened.task, opened.data.shape
    own = task.own_configuration(opened.study, shape)
    task.check_parameters(opened.study, own, shape)
    with pytest.raises((ConfigError, ValueError)):
        task.check_parameters(opened.study, {**own, "tau_max": 0.2, "tau_min": 0.6}, shape)


def test_same_seed_gives_the_same_scores_and_another_seed_others(opened: Opened) -> None:
    first, again, other = (opened.outcomes(opened.slot(seed=seed), 1) for seed in (0, 0, 1))
    assert scores_of(first) == scores_of(again)
    assert scores_of(first) != scores_of(other)
    assert 0.0 <= first[-1].metrics[opened.task.score.metric] <= 1.0


def test_a_trial_goes_on_from_its_state_as_if_nothing_had_happened(opened: Opened) -> None:
    whole = opened.outcomes(opened.slot(), 3)
    before = opened.slot()
    opened.outcomes(before, 1)
    state = before.state()
    for _ in range(2):
        after = opened.slot()
        after.load_state(state)
        assert scores_of(opened.outcomes(after, 3)) == scores_of(whole)[1:]


def test_saved_network_is_read_by_whoever_reads_checkpoints(opened: Opened, tmp_path: Path) -> None:
    file = tmp_path / "best.pt"
    opened.save(opened.slot(), file, {"epoch": 3, "score": 0.5})
    content = load_checkpoint(file)
    assert (content["epoch"], content["score"]) == (3, 0.5)
    assert content["network"]


def test_saved_network_is_returned_with_its_weights(opened: Opened, tmp_path: Path) -> None:
    slot, file = opened.slot(), tmp_path / "best.pt"
    opened.save(slot, file, {"epoch": 3})
    loaded = opened.task.load_network(file)
    network = getattr(loaded, "network", loaded)
    saved = slot.network.state_dict()
    assert saved and all(torch.equal(network.state_dict()[name], weights) for name, weights in saved.items())


def test_network_that_a_trial_saved_scores_as_the_trial_did(opened: Opened, tmp_path: Path) -> None:
    task, study, shape = opened.task, opened.study, opened.data.shape
    wanted = DataRequest(
        place=str(opened.folder / "data"),
        features=opened.data.features,
        counts=None,
        cache=opened.folder / "cache",
    )
    if "final" not in study.stages.names():
        with pytest.raises(ConfigError, match="has no test split"):
            task.open_test(wanted, lambda *_: None)
        return
    slot, file = opened.slot(), tmp_path / "best.pt"
    (validation,) = opened.outcomes(slot, 1)
    opened.save(slot, file, {})
    shared, metric = task.shared(study, shape, "float32"), task.score.metric
    valid = task.open_split(opened.data.valid)
    assert task.test(file, opened.slot(), valid, shared, CPU)[metric] == validation.metrics[metric]
    test = task.open_test(wanted, lambda *_: None)
    assert 0.0 <= task.test(file, opened.slot(), test, shared, CPU)[metric] <= 1.0


def test_every_stage_has_a_program_that_asks_for_what_can_be_trained(opened: Opened) -> None:
    task, shape = opened.task, opened.data.shape
    own = task.own_configuration(opened.study, shape)
    for stage in opened.study.stages.names():
        context = StageContext(
            study=opened.study,
            stage=stage,
            shape=shape,
            train=opened.data.train,
            valid=opened.data.valid,
            start=own,
            finalists={"own": own},
            seed=0,
        )
        program = task.program(context)
        first: Any = program.next([])
        assert program.planned >= 1
        task.check_parameters(opened.study, {**own, **first.parameters}, shape)
        assert isinstance(task.varied(opened.study, stage, shape), dict)


def test_time_and_memory_are_told_before_the_first_trial(opened: Opened) -> None:
    task, shape = opened.task, opened.data.shape
    train, valid = (task.open_split(split) for split in (opened.data.train, opened.data.valid))
    assert task.precision(opened.study, shape, train, CPU) == "float32"
    time = task.trial_time(opened.study, shape, (train, valid), "float32", CPU, 1)
    assert time is not None and time.trial_s > 0
    assert "3 epochs of" in time.work
    assert task.weight_count(opened.study, shape) > 100
