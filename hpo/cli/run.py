"""``hpo run``: start a study."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hpo.cli.running import ReadingProgress, finish, watch
from model.errors import ConfigError

if TYPE_CHECKING:
    from hpo.config.environment import Environment
    from hpo.study.plan import RunRequest, StudyPlan

app = typer.Typer(help="Start a study.", no_args_is_help=True)

DEMO_GAMES = {"train": 8, "valid": 4, "test": 4}
"""Synthetic games of the embedded default: enough to learn from within seconds."""
DEMO_MINUTES = 20
"""Length of their halves."""


@app.callback()
def _commands() -> None:
    """Start a study."""


@app.command()
def bayes(
    features: Annotated[
        str | None,
        typer.Option(help="resnet, c3d, i3d, or the stem of feature files (EVENTS for 1_EVENTS.npy)."),
    ] = None,
    data: Annotated[
        Path | None, typer.Option(help="Folder of games. Default with --features: $HPO_DATA, else ./data.")
    ] = None,
    study: Annotated[
        str | None, typer.Option(help="Name of the study. Default: from data and features.")
    ] = None,
    study_file: Annotated[
        str | None, typer.Option(help="A study file: an installed one by name (calf, demo), or a path.")
    ] = None,
    trials: Annotated[int | None, typer.Option(min=1, help="Trials in all.")] = None,
    epochs: Annotated[int | None, typer.Option(min=1, help="Epochs of a trial.")] = None,
    games: Annotated[
        str | None, typer.Option(metavar="TRAIN,VALID", help="Use the first games of the two splits only.")
    ] = None,
    concurrent: Annotated[int | None, typer.Option(min=1, help="Trials at the same time.")] = None,
    searcher: Annotated[str | None, typer.Option(help="bayes-opt, optuna-gp, optuna-tpe or random.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Decides chunks, weights and search.")] = 0,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show the plan and its time; start nothing.")
    ] = False,
) -> None:
    """Search f, r, alpha2, beta and lambda_seg together by Bayesian optimisation.

    Without --features and --data it makes a small synthetic data set and searches on that.
    """
    from hpo.config.environment import read_environment
    from hpo.study.plan import RunRequest

    counts = _two_counts(games)
    environment = read_environment()
    embedded = features is None and data is None
    request = RunRequest(
        stage="bayes",
        study_file=study_file or ("demo" if embedded else "calf"),
        data=_demo_data(environment, seed) if embedded else (data or environment.data),
        name=study,
        features=features,
        games=counts,
        trials=trials,
        epochs=epochs,
        concurrent=concurrent,
        searcher=searcher,
        seed=seed,
        device=device,
    )
    _run(request, environment, dry_run=dry_run)


def _run(request: "RunRequest", environment: "Environment", *, dry_run: bool) -> None:
    from hpo.study.folders import free_name
    from hpo.study.plan import make_plan
    from hpo.study.session import start_study

    with ReadingProgress() as progress:
        plan = make_plan(request, environment, progress)
    if dry_run:
        _show_plan(plan)
        return
    name = request.name or free_name(environment, "-".join(dict.fromkeys(plan.dataset.split("/"))))
    with watch(plan, name) as listener:
        end = start_study(plan, name, environment, listener)
    finish(end, plan, name)


def _show_plan(plan: "StudyPlan") -> None:
    from hpo.study.estimate import estimate
    from hpo.study.summary import plan_text

    typer.echo(plan_text(plan, estimate(plan)))


def _two_counts(text: str | None) -> tuple[int, int] | None:
    if text is None:
        return None
    parts = text.split(",")
    if len(parts) != 2 or not all(part.strip().isdigit() and int(part) > 0 for part in parts):
        raise ConfigError(f"expected --games TRAIN,VALID such as 60,30, got {text!r}")
    return int(parts[0]), int(parts[1])


def _demo_data(environment: "Environment", seed: int) -> Path:
    """The synthetic data set of the embedded default, made on the spot where it is not there."""
    from model.data.synthetic import write_synthetic

    root = environment.runs / "data" / f"synthetic-{seed}"
    if not (root / "dataset.toml").exists():
        with ReadingProgress() as progress:
            write_synthetic(
                root,
                games=DEMO_GAMES,
                minutes=DEMO_MINUTES,
                seed=seed,
                progress=lambda done, games: progress("making synthetic games", done, games),
            )
    return root
