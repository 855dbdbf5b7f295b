from collections.abc import Sequence

import pytest
import torch

from model.networks.calf import CalfNetwork
from model.networks.calf_config import NetworkConfig
from model.training import benchmark
from model.training.benchmark import PAPER_CHUNKS, run_bench
from model.training.config import TrialConfig
from model.training.roofline import CountedBytes, count_operations
from model.training.throughput import Speed

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def small_games(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(benchmark, "GAMES", {"train": 1, "valid": 1, "test": 1})
    monkeypatch.setattr(benchmark, "DIMS", 16)


def test_ratios_are_medians_over_rounds_of_what_was_measured_side_by_side(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    measured: list[tuple[int, int]] = []
    speeds = iter([100.0, 150.0, 50.0, 10.0, 30.0, 40.0, 200.0, 200.0, 200.0])

    def measure(trials: Sequence[TrialConfig], *args: object, **kwargs: object) -> Speed:
        sizes = {(trial.network.class_features, trial.network.receptive_field_frames) for trial in trials}
        measured.append((len(trials), len(sizes)))
        return Speed(training=next(speeds), evaluation=1.0)

    monkeypatch.setattr(benchmark, "measure_speed", measure)
    steps: list[tuple[str, int, int]] = []
    (result,) = run_bench([2], ["float32"], CPU, seconds=0.1, progress=lambda *step: steps.append(step))
    assert measured == 3 * [(1, 1), (2, 1), (2, 2)]
    alone, equal, mixed = result.rows
    assert (alone.ratio, equal.ratio, mixed.ratio) == (1.0, 1.5, 1.0)
    assert [row.speed.training for row in result.rows] == [100.0, 150.0, 50.0]
    assert alone.paper_s == PAPER_CHUNKS / 100.0
    assert steps[-1] == ("measuring float32", 9, 9)


def test_share_of_the_peak_counts_the_operations_of_a_step() -> None:
    (result,) = run_bench([], ["float32"], CPU, seconds=0.05, progress=lambda *step: None)
    (row,) = result.rows
    network = CalfNetwork(NetworkConfig(input_size=16, classes=3), torch.Generator())
    chunks = 18  # of the first batch: 13 actions of a half, and background
    with count_operations() as counter:
        network(torch.zeros(240, chunks, 16))
    forward = counter.get_total_flops() / chunks
    # Backward, a product with weights is two more; one with features or a constant matrix is one more.
    operations = row.of_peak.operations * result.peak.operations / row.speed.training
    assert 2.0 * forward < operations < 3.0 * forward


def test_bytes_are_those_read_and_written_but_not_of_views() -> None:
    first, second = torch.zeros(10), torch.ones(10)
    with CountedBytes() as count:
        first.view(2, 5).T[0]
        assert count.total == 0
        first + second
        assert count.total == 3 * 40
        first.add_(second)
    assert count.total == 6 * 40
