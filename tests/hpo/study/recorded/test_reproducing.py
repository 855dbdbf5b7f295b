"""A trial trained again from its record: what comes out, and what is said to have changed."""

import socket
from collections.abc import Callable
from dataclasses import replace
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

from hpo.config.environment import Environment
from hpo.report.reproduction import Reproduction, Verdict
from hpo.study.plan import StudyPlan
from hpo.study.recorded.reproducing import prepare_rerun, train_again
from hpo.tasks.base.versions import code_digest
from hpo.tracking.runs import RecordedTrial
from model.data.synthetic import write_synthetic
from model.errors import StorageError, UserError


def silent(*_: object) -> None:
    """Progress that nobody watches."""


@pytest.fixture
def reproduce(small_environment: Environment) -> Callable[..., Reproduction]:
    def run(recorded: RecordedTrial, **options: Any) -> Reproduction:
        rerun = prepare_rerun(recorded, small_environment, silent, **options)
        return train_again(rerun, small_environment, silent)

    return run


@pytest.fixture
def recorded(small_plan: StudyPlan, reproduce: Callable[..., Reproduction]) -> RecordedTrial:
    """Trial as a study on this machine records it."""
    trial = RecordedTrial(
        identity="1",
        run="0123",
        tags={
            "hpo.study": "s",
            "hpo.stage": "bayes",
            "hpo.trial": "bayes-0001",
            "hpo.data_digest": small_plan.data_digest,
            "hpo.code_digest": code_digest("calf"),
            "hpo.versions": f"torch {metadata.version('torch')}, numpy {metadata.version('numpy')}",
            "hpo.device": "cpu",
            "hpo.host": socket.gethostname(),
            "hpo.threads": "1",
        },
        parameters={"f": 3, "K4.goal": 150, "seed": 4},
        validations={epoch: {"average_map": 0.0, "average_map_present": 0.0} for epoch in (1, 2)},
        plan=small_plan.to_json(),
        settings=small_plan.study.stages.bayes.model_dump(mode="json"),
        config={},
    )
    pairs = reproduce(trial).validations
    config = {"trial": {"seed": 4}, "training": {"precision": "float32", "epochs": 2}}
    return replace(trial, validations={pair.epoch: pair.repeated for pair in pairs}, config=config)


def changed(result: Reproduction) -> dict[str, tuple[str, str]]:
    """What has changed, settings that the record of these tests does not hold aside."""
    return {
        change.what: (change.recorded, change.now) for change in result.changes if change.recorded != "none"
    }


def test_same_trial_gives_the_same_numbers_and_leaves_nothing_behind(
    recorded: RecordedTrial, reproduce: Callable[..., Reproduction], small_environment: Environment
) -> None:
    again = reproduce(recorded)
    assert again.verdict is Verdict.EQUAL
    assert [pair.epoch for pair in again.validations] == [1, 2]
    assert changed(again) == {}
    assert not list(small_environment.runs.glob("reproduction-*"))


@pytest.mark.parametrize(
    ("result", "told"),
    [({"unwritable": "No space left"}, "No space left"), ({"failed": "no such split"}, "no such split")],
)
def test_training_that_cannot_begin_is_told_by_its_reason(
    recorded: RecordedTrial,
    reproduce: Callable[..., Reproduction],
    monkeypatch: pytest.MonkeyPatch,
    result: dict[str, str],
    told: str,
) -> None:
    monkeypatch.setattr("hpo.study.recorded.reproducing.TrialArray.step", lambda *_: result)
    if "unwritable" in result:
        with pytest.raises(StorageError, match=told):
            reproduce(recorded)
    else:
        assert told in (reproduce(recorded).failure or "")


def test_only_recorded_validations_are_trained_for(
    recorded: RecordedTrial, reproduce: Callable[..., Reproduction]
) -> None:
    stopped = replace(recorded, validations={1: recorded.validations[1]})
    assert [pair.epoch for pair in reproduce(stopped).validations] == [1]
    assert reproduce(stopped).verdict is Verdict.EQUAL


def test_other_seed_than_the_trial_had_gives_other_numbers_and_is_named(
    recorded: RecordedTrial, reproduce: Callable[..., Reproduction]
) -> None:
    again = reproduce(replace(recorded, parameters={**recorded.parameters, "seed": 5}))
    assert again.verdict in (Verdict.CLOSE, Verdict.DIFFERENT)
    assert changed(again) == {"setting trial.seed": ("4", "5")}


def test_everything_that_numbers_depend_on_is_named_when_it_is_not_as_it_was(
    recorded: RecordedTrial, reproduce: Callable[..., Reproduction]
) -> None:
    tags = {
        **recorded.tags,
        "hpo.code_digest": "ab" * 32,
        "hpo.versions": "torch 1.0, numpy 1.0",
        "hpo.device": "cuda",
        "hpo.host": "elsewhere",
    }
    del tags["hpo.threads"]
    config = {"training": {"precision": "bfloat16"}}
    found = changed(reproduce(replace(recorded, tags=tags, config=config)))
    assert set(found) == {
        "code", "torch", "numpy", "device", "threads", "machine", "setting training.precision"
    }  # fmt: skip
    assert found["code"] == ("ab" * 6, code_digest("calf")[:12])
    assert found["device"] == ("cuda", "cpu")
    assert found["threads"][0] == "not recorded"


def test_other_data_are_said_before_training_and_are_no_reproduction(
    recorded: RecordedTrial, small_environment: Environment, tmp_path: Path
) -> None:
    write_synthetic(tmp_path, games={"train": 1, "valid": 5, "test": 1}, dims=8, minutes=15, seed=9)
    rerun = prepare_rerun(recorded, small_environment, silent, data=tmp_path)
    assert rerun.other_data
    assert [change.what for change in rerun.changes] == ["data"]
    assert train_again(rerun, small_environment, silent).verdict is Verdict.OTHER_DATA


def test_games_that_are_gone_are_one_error(
    recorded: RecordedTrial, small_environment: Environment, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match="the data of this trial were not found"):
        prepare_rerun(recorded, small_environment, silent, data=tmp_path / "nowhere")


def test_record_of_a_version_without_the_second_mean_is_reproduced(
    recorded: RecordedTrial, reproduce: Callable[..., Reproduction]
) -> None:
    assert "average_map_present" in recorded.validations[1]
    metrics = {name: value for name, value in recorded.validations[1].items() if "present" not in name}
    assert reproduce(replace(recorded, validations={1: metrics})).verdict is Verdict.EQUAL
