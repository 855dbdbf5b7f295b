import time
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from stores import small_store

from model.data.sampler import ChunkBatch, SamplerConfig
from model.encoding import Zones
from model.losses.complete import LossConfig
from model.networks.calf_config import NetworkConfig
from model.training import throughput
from model.training.config import TrainingConfig, TrialConfig
from model.training.steps import padded_size
from model.training.throughput import faster_precision, fastest_array, measure_speed, measure_training

CPU = torch.device("cpu")
TRAIN = small_store([130, 120], [(0, 20, 0), (0, 60, 1), (1, 50, 1)])
TRIAL = TrialConfig(
    network=NetworkConfig(
        input_size=6, classes=2, class_features=3, receptive_field_frames=8, chunk_frames=40
    ),
    loss=LossConfig(zones=Zones(((-8.0, -4.0, 4.0, 8.0),) * 2)),
)
TRAINING = TrainingConfig(sampler=SamplerConfig(chunk_frames=40, margin_frames=8))


def test_speed_is_chunks_over_the_time_they_take(monkeypatch: pytest.MonkeyPatch) -> None:
    ticks = iter(np.arange(10_000) * 0.5)
    # Two readings of this clock around every batch: each takes half a second.
    monkeypatch.setattr(throughput, "time", SimpleNamespace(perf_counter=lambda: float(next(ticks))))
    speed = measure_speed([TRIAL], TRAINING, TRAIN, CPU, seconds=4.0)
    sizes = {3, 2}  # chunks of the two halves: actions and background
    assert speed.training in {2 * size for size in sizes}
    assert speed.evaluation in {2 * size for size in sizes}
    three = measure_speed([TRIAL] * 3, TRAINING, TRAIN, CPU, seconds=4.0)
    assert three.training in {3 * 2 * size for size in sizes}


def test_recording_of_a_batch_size_is_not_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    """A GPU records the step of every size when it first occurs, which takes as long as many steps."""
    now_s, recorded = [0.0], list[int]()
    monkeypatch.setattr(throughput, "time", SimpleNamespace(perf_counter=lambda: now_s[0]))

    def work(batch: ChunkBatch) -> None:
        if padded_size(len(batch)) not in recorded:
            recorded.append(padded_size(len(batch)))
            now_s[0] += 100.0
        now_s[0] += len(batch) / 50.0

    batches = [ChunkBatch(np.zeros(size, np.int64), np.zeros(size, np.int64)) for size in (5, 9, 2, 1)]
    assert throughput._chunks_per_s(work, batches, seconds=0.2) == pytest.approx(50.0)
    assert recorded == [12, 8, 4], "the largest first: the others then need no more memory"


def test_training_is_measured_without_an_evaluation(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(throughput._Array, "predict", None)
    assert measure_training([TRIAL], TRAINING, TRAIN, CPU, seconds=0.01) > 0


def test_measuring_ends_after_about_the_time_given() -> None:
    started = time.perf_counter()
    speed = measure_speed([TRIAL], TRAINING, TRAIN, CPU, seconds=0.05)
    assert 0.1 <= time.perf_counter() - started < 5.0
    assert speed.training > 0 and speed.evaluation > 0


def test_precision_is_measured_at_the_size_of_the_array(monkeypatch: pytest.MonkeyPatch) -> None:
    """A trial alone waits for launches on a GPU, where all formats tie."""
    sizes: set[int] = set()

    def measure(
        trials: list[TrialConfig], training: TrainingConfig, *args: object, **kwargs: object
    ) -> float:
        sizes.add(len(trials))
        return {"float32": 1.0, "tf32": 3.0, "bfloat16": 2.0}[training.precision]

    monkeypatch.setattr(throughput, "measure_training", measure)
    assert faster_precision(TRIAL, TRAINING, TRAIN, torch.device("cuda"), array=16) == "tf32"
    assert sizes == {16}


@pytest.mark.parametrize(
    ("speeds", "most", "fastest"),
    [
        ({1: 10.0, 2: 19.0, 4: 30.0, 6: 31.0}, 6, 4),  # the fewest within a twentieth of the best
        ({1: 10.0, 2: 9.0}, 2, 1),
        ({1: 10.0, 2: 19.0}, 8, 2),  # four do not fit into memory
        ({}, 2, 1),
    ],
)
def test_array_is_as_large_as_it_pays(
    monkeypatch: pytest.MonkeyPatch, speeds: dict[int, float], most: int, fastest: int
) -> None:
    def measure(trials: list[TrialConfig], *args: object, **kwargs: object) -> float:
        if len(trials) not in speeds:
            raise torch.AcceleratorError("CUDA error: out of memory")
        return speeds[len(trials)]

    monkeypatch.setattr(throughput, "measure_training", measure)
    assert fastest_array(TRIAL, TRAINING, TRAIN, CPU, most=most) == fastest
