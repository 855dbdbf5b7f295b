"""Command ``hpo bench``, which measures how fast this machine trains."""

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from model.errors import ConfigError

if TYPE_CHECKING:
    import torch
    from rich.table import Table

    from model.precision import Precision
    from model.training.benchmark import Bench


def bench(
    context: typer.Context,
    arrays: Annotated[
        str, typer.Option(metavar="NUMBER,...", help="Numbers of trials to train together.")
    ] = "1,4,16",
    device: Annotated[str, typer.Option(metavar="auto|cpu|cuda", help="Device to measure.")] = "auto",
    precision: Annotated[
        str,
        typer.Option(
            metavar="NAME,...", help="Precisions to measure: float32, bfloat16 and, on a GPU, tf32."
        ),
    ] = "float32,bfloat16",
    seconds: Annotated[
        float,
        typer.Option(
            metavar="SECONDS",
            min=0.1,
            help="Duration of each measurement, of which there are three per array.",
        ),
    ] = 2.0,
    check: Annotated[
        bool,
        typer.Option(
            "--check",
            help="Instead check the machine within ten minutes: PASS or FAIL per line. "
            "Exit code 1 if a check fails.",
        ),
    ] = False,
) -> None:
    """Measure how fast this machine trains.

    Trials are trained alone and as arrays, on synthetic games with 512 features. Speeds are sums over all
    trials. A paper-size trial has 1000 epochs of 5,200 chunks, without validation; its time is that of the
    whole array divided by the number of trials. The last columns compare the speed with the peak of the
    device in matrix products and in copying; more than 100 % of copying means that processor caches help.
    """
    import torch

    from hpo.api.watching import ReadingProgress
    from hpo.report.console import print_table
    from hpo.study.devices import choose_device
    from model.training.benchmark import run_bench

    if check:
        _refuse_options_of_measuring(context)
        raise typer.Exit(_check(choose_device(device)))
    sizes = [_size(part) for part in arrays.split(",")]
    precisions = [_precision(part) for part in precision.split(",")]
    chosen = torch.device(choose_device(device))
    _require_precisions(precisions, chosen)
    with ReadingProgress() as progress:
        benches = run_bench(sizes, precisions, chosen, seconds=seconds, progress=progress)
    name = (
        torch.cuda.get_device_name(chosen) if chosen.type == "cuda" else f"{torch.get_num_threads()} threads"
    )
    typer.echo(f"{chosen.type} ({name}), torch {torch.__version__}")
    for measured in benches:
        typer.echo("")
        print_table(_speed_table(measured))
        typer.echo(
            f"peak: {measured.peak.operations / 1e9:,.0f} billion operations/s in a large product, "
            f"{measured.peak.bytes / 1e9:,.1f} billion bytes/s in a large copy"
        )


def _refuse_options_of_measuring(context: typer.Context) -> None:
    for name in ("arrays", "precision", "seconds"):
        source = context.get_parameter_source(name)
        if source is not None and source.name == "COMMANDLINE":
            raise ConfigError(
                f"--check has its own sizes and durations, got --{name}",
                fix=f"leave out --{name}, or leave out --check to measure",
            )


def _check(device: str) -> int:
    """Run all checks and print a line for each as soon as it is known; return the exit code."""
    from tempfile import TemporaryDirectory
    from time import monotonic

    import torch

    from hpo.bench.checks import LIMIT_S, run_checks
    from hpo.bench.setting import Setting

    counts = Counter[str]()
    started = monotonic()
    with TemporaryDirectory(prefix="hpo-bench-check-", ignore_cleanup_errors=True) as folder:
        for line in run_checks(Setting(torch.device(device), Path(folder), limit_s=LIMIT_S)):
            typer.echo(line.text)
            counts[line.verdict] += 1
    typer.echo(
        f"{counts['PASS']} passed, {counts['FAIL']} failed, {counts['not checked']} not checked, "
        f"{monotonic() - started:.0f} s"
    )
    return int(counts["FAIL"] > 0)


def _size(text: str) -> int:
    if not text.strip().isdecimal() or int(text) < 1:
        raise ConfigError(
            f"expected --arrays with whole numbers above 0 such as 1,4,16, got {text.strip()!r}"
        )
    return int(text)


def _precision(text: str) -> "Precision":
    match text.strip():
        case "float32" | "tf32" | "bfloat16" as known:
            return known
    raise ConfigError(
        f"expected --precision with float32, tf32 or bfloat16, separated by commas, got {text.strip()!r}"
    )


def _require_precisions(precisions: "list[Precision]", device: "torch.device") -> None:
    from model.precision import precisions_of

    for each in precisions:
        if each not in precisions_of(device):
            raise ConfigError(
                f"expected a GPU for --precision {each}, got device {device.type}",
                fix=f"leave out {each}",
            )


def _speed_table(bench: "Bench") -> "Table":
    from rich.table import Table

    from hpo.report.formats import duration

    table = Table(box=None, pad_edge=False, header_style="bold", title=bench.precision, title_justify="left")
    table.add_column("trials together", no_wrap=True)
    for name in (
        "training chunks/s",
        "relative to one trial",
        "validation chunks/s",
        "of peak products",
        "of peak copying",
        "time of a paper-size trial",
    ):
        table.add_column(name, justify="right")
    for row in bench.rows:
        table.add_row(
            f"{row.trials}{', mixed f and r' if row.mixed else ''}",
            f"{row.speed.training:,.0f}",
            f"{row.ratio:.2f}",
            f"{row.speed.evaluation:,.0f}",
            f"{row.of_peak.operations:.1%}",
            f"{row.of_peak.bytes:.0%}",
            duration(row.paper_s),
        )
    return table
