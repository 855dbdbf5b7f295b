"""Commands that compare results: reproduce and compare."""

import json
from pathlib import Path
from typing import Annotated

import typer

AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]


def reproduce(
    run: Annotated[
        str,
        typer.Argument(metavar="RUN", help="Trial to train again: STUDY/TRIAL, or the id of its MLflow run."),
    ],
    data: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Data folder. Default: the folder that the record names."),
    ] = None,
    device: Annotated[
        str | None,
        typer.Option(
            metavar="auto|cpu|cuda", help="Device to train on. Default: the device that the record names."
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Train a trial again from its MLflow record.

    The command compares the metrics with the recorded ones. The verdict is "equal" (to the last bit), "close"
    (score within 0.03 at every validation), "different" or "different data". The command lists everything
    that has changed since the recording. Exit code: 0 if equal or close, else 1.
    """
    from hpo.api.watching import ReadingProgress
    from hpo.config.environment import read_environment
    from hpo.report.console import print_table, standard_error
    from hpo.report.reproduction import reproduction_record, reproduction_table, verdict_lines
    from hpo.study.recorded.reproducing import prepare_rerun, train_again
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
            console.print(f"changed: {change}", soft_wrap=True)
        if rerun.other_data:
            console.print("the data have changed, so this cannot be a reproduction", soft_wrap=True)
        result = train_again(rerun, environment, progress)
    if as_json:
        typer.echo(json.dumps(reproduction_record(result), indent=2))
    else:
        print_table(reproduction_table(result))
        typer.echo("\n".join(verdict_lines(result)))
    if not result.succeeded:
        raise typer.Exit(1)


def compare(
    a: Annotated[str, typer.Argument(metavar="A", help="A study, or a trial as STUDY/TRIAL.")],
    b: Annotated[str, typer.Argument(metavar="B", help="Another study, or another trial as STUDY/TRIAL.")],
    split: Annotated[str, typer.Option(metavar="valid|test", help="Split to compare on.")] = "valid",
    as_json: AsJson = False,
) -> None:
    """Compare two studies or two trials.

    Differences are paired if both used the same data. Studies are compared seed by seed, with 95 % intervals
    by Student's t: every configuration that both trained under one name (such as the rows of a final), and
    the best of each search. Trials are compared on the same games: the best network of each predicts spots,
    and Average-mAP is computed for 1,000 draws of the games. The interval contains 95 % of these differences;
    it covers the choice of games, not the choice of seeds.
    """
    from hpo.api.watching import ReadingProgress
    from hpo.config.environment import read_environment
    from hpo.report.comparison import comparison_record, show_comparison
    from hpo.study.recorded.comparing import compare_named

    with ReadingProgress() as progress:
        comparison = compare_named(a, b, split, read_environment(), progress)
    if as_json:
        typer.echo(json.dumps(comparison_record(comparison), indent=2))
    else:
        show_comparison(comparison)
