"""Arrays of trials: their lines, and when they fail."""

from collections.abc import Callable, Sequence

import pytest
import torch

from hpo.bench import speed
from hpo.bench.setting import Setting
from hpo.bench.speed import check_arrays, speed_lines
from model.precision import Precision
from model.training.benchmark import Bench, Row
from model.training.roofline import Work
from model.training.throughput import Speed

WORK = Work(0.5, 0.25)


def row(trials: int, ratio: float) -> Row:
    return Row(trials, mixed=trials > 4, speed=Speed(100.0, 1.0), ratio=ratio, of_peak=WORK)


def test_array_that_is_slower_than_one_trial_fails_on_a_gpu() -> None:
    bench = Bench("tf32", [row(1, 1.0), row(4, 0.9), row(64, 40.0)], WORK)
    alone, slow, fast = speed_lines(bench, "cuda")
    assert [line.verdict for line in (alone, slow, fast)] == ["PASS", "FAIL", "PASS"]
    assert fast.name == "array of 64, mixed, tf32"
    assert "100 chunks/s, 40.00 times one trial" in fast.figures and "50.0% of peak products" in fast.figures


def test_other_work_on_a_processor_may_halve_the_speed_of_an_array() -> None:
    bench = Bench("float32", [row(4, 0.6), row(4, 0.4)], WORK)
    assert [line.verdict for line in speed_lines(bench, "cpu")] == ["PASS", "FAIL"]


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Sequence[int], Sequence[Precision]]]:
    """What was measured, each with the speed of one trial only."""
    calls: list[tuple[Sequence[int], Sequence[Precision]]] = []

    def bench(
        sizes: Sequence[int],
        precisions: Sequence[Precision],
        device: torch.device,
        *,
        seconds: float,
        progress: Callable[[str, int, int], None],
    ) -> list[Bench]:
        calls.append((sizes, precisions))
        return [Bench(precisions[0], [row(1, 1.0)], WORK)]

    monkeypatch.setattr(speed, "run_bench", bench)
    return calls


def test_format_that_a_processor_lacks_is_not_measured(
    setting: Setting,
    measured: list[tuple[Sequence[int], Sequence[Precision]]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    speeds = iter([Speed(100.0, 1.0), Speed(10.0, 1.0)])
    monkeypatch.setattr(speed, "measure_speed", lambda *arguments, **options: next(speeds))
    lines = list(check_arrays(setting))
    assert [(line.name, line.verdict) for line in lines] == [
        ("one trial, float32", "PASS"),
        ("arrays, tf32", "not checked"),
        ("arrays, bfloat16", "not checked"),
        ("array of 16", "not checked"),
        ("array of 64", "not checked"),
    ]
    assert lines[2].figures == "a step takes 10 times as long as in float32 here"
    assert measured == [((4,), ["float32"])]


def test_format_for_which_the_time_does_not_suffice_is_not_measured(
    setting: Setting,
    measured: list[tuple[Sequence[int], Sequence[Precision]]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    setting.device = torch.device("cuda")
    # Seconds that are left when each format is asked about, and around the measurement of the first two.
    left_s = iter([500.0, 500.0, 300.0, 300.0, 300.0, 100.0, 100.0])
    monkeypatch.setattr(Setting, "left_s", property(lambda asked: next(left_s)))
    assert [line.verdict for line in check_arrays(setting)] == ["PASS", "PASS", "not checked"]


def test_gpu_is_measured_with_all_arrays_in_every_format(
    setting: Setting, measured: list[tuple[Sequence[int], Sequence[Precision]]]
) -> None:
    setting.device = torch.device("cuda")
    assert [line.verdict for line in check_arrays(setting)] == 3 * ["PASS"]
    assert measured == [((4, 16, 64), [name]) for name in ("float32", "tf32", "bfloat16")]
