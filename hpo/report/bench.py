"""What people read of a benchmark."""

from rich.table import Table

from hpo.report.words import duration
from model.training.benchmark import Bench


def bench_table(bench: Bench) -> Table:
    """Arrays and their speeds."""
    table = Table(box=None, pad_edge=False, header_style="bold", title=bench.precision, title_justify="left")
    table.add_column("together", no_wrap=True)
    for name in (
        "trained chunks/s",
        "to one alone",
        "validated chunks/s",
        "of peak",
        "of copying",
        "paper-size trial",
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
