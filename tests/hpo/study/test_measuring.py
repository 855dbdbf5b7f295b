"""How many trials run at a time on GPUs, and on which device, with stand-ins for GPUs and measurements."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from calf_plan import calf_plan

from hpo.config.environment import read_environment
from hpo.schedule.gpus import TrainingGpus
from hpo.study import measuring
from hpo.study.devices import choose_device, training_device
from hpo.study.plan import StageRequest, StudyPlan, stage_settings
from model.errors import ConfigError

HERE = read_environment({})
ON_CLUSTER = HERE.on_cluster("head:6379")


def plan_of(*, device: str = "cpu", trials: int = 40) -> StudyPlan:
    plan = replace(calf_plan(), device=device)
    settings = plan.study.stages.named("bayes").model_dump(mode="json") | {
        "trials": trials,
        "concurrent": "auto",
    }
    return plan.with_stage("bayes", settings)


class Gpus:
    """Stands in for GPUs whose measurement says that ``best`` trials fit best into one array."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, count: int, best: int) -> None:
        self.most: list[int] = []

        def measure(gpus: TrainingGpus, function: Any, *args: Any) -> int:
            assert function is measuring._array
            self.most.append(args[-1])
            return min(best, args[-1])

        monkeypatch.setattr(TrainingGpus, "count", count)
        monkeypatch.setattr(TrainingGpus, "measure", measure)


@pytest.mark.parametrize(
    ("count", "best", "trials", "typed", "expected"),
    [
        (1, 16, 200, {}, (16, 16)),
        (4, 16, 200, {}, (50, 13)),  # a quarter of the configurations, an array on each GPU
        (4, 8, 200, {}, (32, 8)),
        (2, 16, 8, {}, (2, 1)),  # two at a time: each GPU has one
        (2, 16, 200, {"concurrent": 8}, (8, 4)),
        (2, 16, 200, {"array": 3}, (6, 3)),
        (2, 16, 200, {"concurrent": 5, "array": 5}, (5, 5)),  # as typed
    ],
)
def test_every_gpu_has_an_array_and_a_search_runs_as_many_trials_as_it_can_use(
    monkeypatch: pytest.MonkeyPatch,
    count: int,
    best: int,
    trials: int,
    typed: dict[str, int],
    expected: tuple[int, int],
) -> None:
    Gpus(monkeypatch, count=count, best=best)
    plan = plan_of(device="cuda", trials=trials)
    settings = stage_settings(plan, StageRequest(name="bayes", options=typed), HERE)
    assert (settings["concurrent"], settings["array"]) == expected


def test_random_search_can_use_all_its_trials_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    gpus = Gpus(monkeypatch, count=1, best=64)
    request = StageRequest(name="bayes", options={"searcher": "random"})
    settings = stage_settings(plan_of(device="cuda", trials=24), request, HERE)
    assert (settings["concurrent"], gpus.most) == (24, [24])


def test_stage_of_a_study_on_gpus_is_refused_where_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    Gpus(monkeypatch, count=0, best=1)
    with pytest.raises(ConfigError, match="there is no GPU here"):
        stage_settings(plan_of(device="cuda"), StageRequest(name="bayes"), HERE)


def test_processor_trains_one_trial_at_a_time_unless_told() -> None:
    settings = stage_settings(plan_of(trials=40), StageRequest(name="bayes"), HERE)
    assert (settings["concurrent"], settings["array"]) == (1, 1)


def test_device_is_chosen_where_trials_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """A head of a cluster has no GPU, its workers have."""
    study = plan_of().study
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(TrainingGpus, "count", property(lambda gpus: 2 if gpus._address else 0))
    assert training_device("auto", study, ON_CLUSTER) == "cuda"
    assert training_device("cuda", study, ON_CLUSTER) == "cuda"
    assert training_device("auto", study, HERE) == "cpu" == choose_device("auto")
    with pytest.raises(ConfigError, match="this machine has no CUDA device"):
        training_device("cuda", study, HERE)


def test_cluster_is_not_asked_for_a_study_on_processors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(TrainingGpus, "count", property(lambda gpus: pytest.fail("asked")))
    assert training_device("cpu", plan_of().study, ON_CLUSTER) == "cpu"


def test_tf32_on_a_processor_is_refused() -> None:
    study = plan_of().study
    tf32 = study.model_copy(update={"training": study.training.model_copy(update={"precision": "tf32"})})
    with pytest.raises(ConfigError, match="'tf32' needs a GPU"):
        training_device("cpu", tf32, HERE)
