"""Check of the speed: arrays of trials in each number format, beside one trial and the device's peak."""

from collections.abc import Iterator
from typing import get_args

from hpo.bench.line import NEEDS_GPU, Line, judged, not_checked
from hpo.bench.setting import Setting
from hpo.report.formats import duration
from model.precision import Precision, precisions_of
from model.training.benchmark import Bench, Row, bench_trials, run_bench
from model.training.config import TrainingConfig
from model.training.throughput import measure_speed

SIZES = (4, 16, 64)
"""Numbers of trials of the arrays, besides one."""
SIZES_ON_PROCESSOR = (4,)
"""A processor computes the trials of an array in turn: larger ones tell nothing new."""
TIME_SHARE = 1.5
"""Time that must be left for a number format, relative to what the one before took."""
SECONDS = 0.3
"""Duration of a measurement in seconds."""
FAR_SLOWER = 3.0
"""Ratio of step times at which a processor does not measure a number format."""
LEAST_RATIO = {"cuda": 1.0, "cpu": 0.5}
"""Least chunks per second of an array relative to one trial; other work on a processor disturbs a ratio."""


def check_arrays(setting: Setting) -> Iterator[Line]:
    """Measure training in every number format of the device."""
    sizes, taken_s = SIZES if setting.has_gpu else SIZES_ON_PROCESSOR, 0.0
    for precision in get_args(Precision):
        if precision not in precisions_of(setting.device):
            yield not_checked(f"arrays, {precision}", NEEDS_GPU)
        elif setting.left_s < TIME_SHARE * taken_s:
            yield not_checked(f"arrays, {precision}", "too little time left for this format")
        elif slower := _times_slower(precision, setting):
            yield not_checked(
                f"arrays, {precision}", f"a step takes {slower:.0f} times as long as in float32 here"
            )
        else:
            before_s = setting.left_s
            (bench,) = run_bench(
                sizes, [precision], setting.device, seconds=SECONDS, progress=lambda *step: None
            )
            taken_s = before_s - setting.left_s
            yield from speed_lines(bench, setting.device.type)
    for size in sorted(set(SIZES) - set(sizes)):
        yield not_checked(f"array of {size}", NEEDS_GPU)


def speed_lines(bench: Bench, device: str) -> Iterator[Line]:
    """Judge every measured array of a number format."""
    for row in bench.rows:
        yield judged(
            f"{_array(row)}, {bench.precision}",
            row.ratio >= LEAST_RATIO[device],
            f"{row.speed.training:,.0f} chunks/s, {row.ratio:.2f} times one trial "
            f"(at least {LEAST_RATIO[device]:.1f}), {row.of_peak.operations:.1%} of peak products, "
            f"{row.of_peak.bytes:.0%} of peak copying, paper-size trial {duration(row.paper_s)}",
        )


def _array(row: Row) -> str:
    return f"{'one trial' if row.trials == 1 else f'array of {row.trials}'}{', mixed' if row.mixed else ''}"


def _times_slower(precision: Precision, setting: Setting) -> float:
    """Return how many times slower than float32 a processor is in ``precision``; 0 if it is not far slower.

    Only few processors multiply bfloat16 in hardware; on the others its measurement takes minutes.
    """
    if setting.has_gpu or precision == "float32":
        return 0.0
    formats: tuple[Precision, Precision] = ("float32", precision)
    trials = bench_trials(1, setting.train, mixed=False)
    single, other = (
        measure_speed(
            trials, TrainingConfig(precision=each), setting.train, setting.device, seconds=SECONDS
        ).training
        for each in formats
    )
    return single / other if single > FAR_SLOWER * other else 0.0
