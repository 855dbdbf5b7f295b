"""Commands that hold results against each other: reproduce, compare."""

import json
from pathlib import Path
from typing import Annotated

import typer

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def reproduce(
    run: Annotated[str, typer.Argument(help="MLflow run of a trial, or STUDY/TRIAL.")],
    data: Annotated[
        Path | None, typer.Option(help="Folder of games. Default: where they were when it was recorded.")
    ] = None,
    device: Annotated[
        str | None, typer.Option(help="auto, cpu or cuda. Default: the one it was recorded with.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Train a recorded trial again, from MLflow alone, and say whether its numbers come out again.

    They are equal (to the last bit), close (score within 0.03 at every validation), different, or of
    different data; whatever changed since is named. Exit code 0 for equal and close, 1 for the others.
    """
    from hpo.cli.running import ReadingProgress
    from hpo.config.environment import read_environment
    from hpo.report.live import standard_error
    from hpo.report.reproduction import reproduction_record, reproduction_table, verdict_lines
    from hpo.report.trial_tables import print_table
    from hpo.study.reproducing import prepare_rerun, train_again
    from hpo.tracking.runs import recorded_trial

    environment, console = read_environment(), standard_error()
    recorded = recorded_trial(environment, run)
    with ReadingProgress() as progress:
        rerun = prepare_rerun(recorded, environment, progress, data=data, device=device)
        plan = rerun.plan
        console.print(
            f"training {rerun.name} again on {plan.dataset}, {plan.device}, {plan.precision}, "
            f"{rerun.threads} threads",
            soft_wrap=True,
        )
        for change in rerun.changes:
            console.print(f"not as it was: {change}", soft_wrap=True)
        if rerun.other_data:
            console.print("the data are others: this can be no reproduction", soft_wrap=True)
        result = train_again(rerun, environment, progress)
    if as_json:
        typer.echo(json.dumps(reproduction_record(result), indent=2))
    else:
        print_table(reproduction_table(result))
        typer.echo("\n".join(verdict_lines(result)))
    if not result.succeeded:
        raise typer.Exit(1)


def compare(
    a: Annotated[str, typer.Argument(help="A study, or a trial as STUDY/TRIAL.")],
    b: Annotated[str, typer.Argument(help="What to compare it with, of the same kind.")],
    split: Annotated[str, typer.Option(help="valid or test.")] = "valid",
    as_json: AsJson = False,
) -> None:
    """Set two studies or two trials side by side, with paired differences where the data are the same.

    Studies: seed by seed, for every configuration that both trained under one name (the rows of a final), and
    for the best of each search, with 95 % intervals by Student's t. Trials: the best network of each spots
    every game of the split, and Average-mAP is computed anew over 1,000 draws of the games; the interval
    holds 95 % of the differences. It speaks of these two networks on other games, not of other seeds.
    """
    from hpo.cli.running import ReadingProgress
    from hpo.config.environment import read_environment
    from hpo.report.comparison import comparison_record, show_comparison
    from hpo.study.comparing import compare_named

    with ReadingProgress() as progress:
        comparison = compare_named(a, b, split, read_environment(), progress)
    if as_json:
        typer.echo(json.dumps(comparison_record(comparison), indent=2))
    else:
        show_comparison(comparison)
