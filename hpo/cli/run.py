"""``hpo run``: start a study, or the next stage of one."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hpo.cli.running import RayAddress, ReadingProgress, finish, watch
from model.errors import ConfigError

if TYPE_CHECKING:
    from hpo.config.environment import Environment
    from hpo.study.plan import StageRequest, StudyPlan, StudyRequest

app = typer.Typer(help="Start a study, or the next stage of one.", no_args_is_help=True)

DEMO_GAMES = {"train": 8, "valid": 4, "test": 4}
"""Synthetic games of the embedded default: enough to learn from within seconds."""
DEMO_MINUTES = 20
"""Length of their halves."""

Features = Annotated[
    str | None, typer.Option(help="resnet, c3d, i3d, or the stem of feature files (EVENTS for 1_EVENTS.npy).")
]
Data = Annotated[
    Path | None, typer.Option(help="Folder of games. Default with --features: $HPO_DATA, else ./data.")
]
DataUri = Annotated[
    str | None,
    typer.Option(
        metavar="URI", help="The same folder elsewhere (s3://...): every machine that trains fetches a copy."
    ),
]
StudyFileOption = Annotated[
    str | None, typer.Option(help="A study file: an installed one by name (calf, calf-v2, demo), or a path.")
]
Games = Annotated[
    str | None, typer.Option(metavar="TRAIN,VALID", help="Use the first games of the two splits only.")
]
Concurrent = Annotated[int | None, typer.Option(min=1, help="Trials at the same time.")]
Array = Annotated[
    int | None,
    typer.Option(
        min=1,
        help="How many of the trials at the same time are trained together in one process. Default: on a GPU "
        "what a short measurement finds fastest, else 1.",
    ),
]
Seed = Annotated[int, typer.Option(min=0, max=2**53, help="Decides chunks, weights and search.")]
Device = Annotated[str, typer.Option(help="auto, cpu or cuda.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show the plan and its time; start nothing.")]
NewStudy = Annotated[str | None, typer.Option(help="Name of the study. Default: from data and features.")]
Trials = Annotated[int | None, typer.Option(min=1, help="Points of the search.")]
Replicates = Annotated[int | None, typer.Option(min=1, help="Seeds of a point; its score is their mean.")]
Searcher = Annotated[str | None, typer.Option(help="bayes-opt, optuna-gp, optuna-tpe or random.")]
Scheduler = Annotated[
    str | None, typer.Option(help="none, asha or median: whether and how poor trials are stopped early.")
]
Seeds = Annotated[int | None, typer.Option(min=1, help="Seeds of every configuration that is compared.")]
Epochs = Annotated[int | None, typer.Option(min=1, help="Epochs of a trial.")]
From = Annotated[
    str | None,
    typer.Option(
        "--from",
        metavar="paper|STUDY|RUN|FILE",
        help="Configuration to start from: the study file's own (paper), what a study found, an MLflow run, "
        "a JSON or TOML file. Default: what this study found.",
    ),
]
Study = Annotated[
    str | None,
    typer.Option(
        help="Study to go on with. Default: the one that changed last, or a new one with --from and --data."
    ),
]


@app.callback()
def _commands() -> None:
    """Start a study, or the next stage of one."""


@app.command()
def bayes(
    features: Features = None,
    data: Data = None,
    data_uri: DataUri = None,
    study: NewStudy = None,
    study_file: StudyFileOption = None,
    trials: Trials = None,
    replicates: Replicates = None,
    epochs: Epochs = None,
    games: Games = None,
    concurrent: Concurrent = None,
    array: Array = None,
    searcher: Searcher = None,
    scheduler: Scheduler = None,
    warm_start: Annotated[
        str | None,
        typer.Option(
            metavar="STUDY", help="Learn from the scores of a study of the same space, data and epochs."
        ),
    ] = None,
    seed: Seed = 0,
    device: Device = "auto",
    ray_address: RayAddress = None,
    dry_run: DryRun = False,
) -> None:
    """Search f, r, alpha2, beta and lambda_seg together by Bayesian optimisation.

    Without --features and --data it makes a small synthetic data set and searches on that.
    """
    request, environment = _request(
        features, data, data_uri, study_file, games, epochs, seed, device, ray_address
    )
    options = {
        "trials": trials,
        "replicates": replicates,
        "searcher": searcher,
        "scheduler": scheduler,
        "concurrent": concurrent,
        "array": array,
    }
    _start(request, [_stage("bayes", options, warm_start)], study, environment, dry_run=dry_run)


@app.command()
def paper(
    features: Features = None,
    data: Data = None,
    data_uri: DataUri = None,
    study: NewStudy = None,
    study_file: StudyFileOption = None,
    trials: Trials = None,
    epochs: Epochs = None,
    games: Games = None,
    concurrent: Concurrent = None,
    array: Array = None,
    searcher: Searcher = None,
    seeds: Seeds = None,
    final_epochs: Annotated[int | None, typer.Option(min=1, help="Epochs of the final's trials.")] = None,
    seed: Seed = 0,
    device: Device = "auto",
    ray_address: RayAddress = None,
    dry_run: DryRun = False,
) -> None:
    """Run the paper's whole procedure in one study: bayes, grid-slicing, final."""
    request, environment = _request(
        features, data, data_uri, study_file, games, epochs, seed, device, ray_address
    )
    stages = [
        _stage("bayes", {"trials": trials, "searcher": searcher, "concurrent": concurrent, "array": array}),
        _stage("grid-slicing", {"concurrent": concurrent, "array": array}),
        _stage("final", {"seeds": seeds, "epochs": final_epochs, "concurrent": concurrent, "array": array}),
    ]
    _start(request, stages, study, environment, dry_run=dry_run)


@app.command(name="grid-slicing")
def grid_slicing(
    study: Study = None,
    start: From = None,
    mode: Annotated[
        str | None, typer.Option(help="class-parallel, per-class, symmetric or joint; see the study file.")
    ] = None,
    replicates: Replicates = None,
    seeds: Seeds = None,
    epochs: Epochs = None,
    concurrent: Concurrent = None,
    array: Array = None,
    features: Features = None,
    data: Data = None,
    data_uri: DataUri = None,
    study_file: StudyFileOption = None,
    games: Games = None,
    seed: Seed = 0,
    device: Device = "auto",
    ray_address: RayAddress = None,
    dry_run: DryRun = False,
) -> None:
    """Search the slicing parameters K1 < K2 < 0 < K3 < K4 of every class on a grid."""
    options = {
        "mode": mode,
        "replicates": replicates,
        "seeds": seeds,
        "epochs": epochs,
        "concurrent": concurrent,
        "array": array,
    }
    request, environment = _request(
        features, data, data_uri, study_file, games, None, seed, device, ray_address
    )
    _go_on("grid-slicing", options, study, start, request, environment, dry_run=dry_run)


def _add_comparison(name: str, help_text: str) -> None:
    """Make the command of a stage that compares configurations over seeds."""

    def command(
        study: Study = None,
        start: From = None,
        seeds: Seeds = None,
        epochs: Epochs = None,
        concurrent: Concurrent = None,
        array: Array = None,
        features: Features = None,
        data: Data = None,
        data_uri: DataUri = None,
        study_file: StudyFileOption = None,
        games: Games = None,
        seed: Seed = 0,
        device: Device = "auto",
        ray_address: RayAddress = None,
        dry_run: DryRun = False,
    ) -> None:
        options = {"seeds": seeds, "epochs": epochs, "concurrent": concurrent, "array": array}
        request, environment = _request(
            features, data, data_uri, study_file, games, None, seed, device, ray_address
        )
        _go_on(name, options, study, start, request, environment, dry_run=dry_run)

    app.command(name=name, help=help_text)(command)


_add_comparison(
    "final", "Train the best configurations with several seeds, compare them, and open the test split once."
)
_add_comparison(
    "ablation", "Table 2 of the paper: the model without segmentation, slicing, margins and matching."
)
_add_comparison(
    "sensitivity", "Vary each slicing parameter of each class around the optimum, the others held."
)
_add_comparison("lambda-sweep", "Section 7.5: vary lambda_seg over several powers of ten.")


def _stage(name: str, options: dict[str, Any], warm_start: str | None = None) -> "StageRequest":
    from hpo.study.plan import StageRequest

    return StageRequest(name=name, options=options, warm_start=warm_start)


def _request(
    features: str | None,
    data: Path | None,
    data_uri: str | None,
    study_file: str | None,
    games: str | None,
    epochs: int | None,
    seed: int,
    device: str,
    ray_address: str | None,
) -> "tuple[StudyRequest, Environment]":
    """What was typed of a new study; without data and features the embedded default."""
    from hpo.config.environment import read_environment
    from hpo.study.data import chosen_place
    from hpo.study.plan import StudyRequest

    environment = read_environment().on_cluster(ray_address)
    embedded = features is None and data is None and data_uri is None
    default = _demo_folder(environment, seed) if embedded else environment.data
    request = StudyRequest(
        study_file=study_file or ("demo" if embedded else "calf"),
        data=chosen_place(data, data_uri, default=default),
        features=features,
        games=_two_counts(games),
        epochs=epochs,
        seed=seed,
        device=device,
    )
    return request, environment


def _start(
    request: "StudyRequest",
    stages: "Sequence[StageRequest]",
    name: str | None,
    environment: "Environment",
    *,
    dry_run: bool,
) -> None:
    """Run ``stages`` as a new study."""
    from hpo.study.folders import free_name
    from hpo.study.session import start_study

    plan = _new_plan(request, environment)
    if dry_run:
        _show_plan(plan, stages)
        return
    name = name or free_name(environment, "-".join(dict.fromkeys(plan.dataset.split("/"))))
    with watch(plan, name, environment) as listener:
        end = start_study(plan, name, stages, environment, listener)
    finish(end, plan, name)


def _go_on(
    stage: str,
    options: dict[str, Any],
    name: str | None,
    start: str | None,
    request: "StudyRequest",
    environment: "Environment",
    *,
    dry_run: bool,
) -> None:
    """Run one more stage of a study, or the first of a new one that starts from a given configuration."""
    from hpo.journal.journal import read_journal
    from hpo.journal.results import StudyState
    from hpo.study.folders import chosen_study, known_studies
    from hpo.study.plan import StageRequest
    from hpo.study.session import continue_study, plan_of
    from hpo.study.starting import starting_configuration

    if start is not None and (name is None or name not in known_studies(environment)):
        plan = _new_plan(request, environment)
        found = starting_configuration(start, plan, environment)
        _start(
            request,
            [StageRequest(name=stage, options=options, start=found)],
            name,
            environment,
            dry_run=dry_run,
        )
        return
    folder = chosen_study(environment, name)
    plan = plan_of(folder, StudyState.replay(read_journal(folder).events).created)
    found = starting_configuration(start, plan, environment) if start else {}
    asked = StageRequest(name=stage, options=options, start=found)
    if dry_run:
        _show_plan(plan, [asked])
        return
    with ReadingProgress() as progress, watch(plan, folder.name, environment) as listener:
        end = continue_study(folder.name, [asked], environment, progress, listener)
    finish(end, plan, folder.name)


def _new_plan(request: "StudyRequest", environment: "Environment") -> "StudyPlan":
    from hpo.study.plan import make_plan

    _make_demo(request, environment)
    with ReadingProgress() as progress:
        return make_plan(request, environment, progress)


def _show_plan(plan: "StudyPlan", stages: "Sequence[StageRequest]") -> None:
    from hpo.study.outline import outline
    from hpo.study.summary import plan_text

    typer.echo(plan_text(plan, [outline(plan, stage) for stage in stages]))


def _two_counts(text: str | None) -> tuple[int, int] | None:
    if text is None:
        return None
    parts = text.split(",")
    if len(parts) != 2 or not all(part.strip().isdigit() and int(part) > 0 for part in parts):
        raise ConfigError(f"expected --games TRAIN,VALID such as 60,30, got {text!r}")
    return int(parts[0]), int(parts[1])


def _demo_folder(environment: "Environment", seed: int) -> Path:
    return environment.runs / "data" / f"synthetic-{seed}"


def _make_demo(request: "StudyRequest", environment: "Environment") -> None:
    """Make the synthetic data set of the embedded default on the spot where it is not there."""
    from model.data.synthetic import write_synthetic

    root = _demo_folder(environment, request.seed)
    if request.data != str(root) or (root / "dataset.toml").exists():
        return
    with ReadingProgress() as progress:
        write_synthetic(
            root,
            games=DEMO_GAMES,
            minutes=DEMO_MINUTES,
            seed=request.seed,
            progress=lambda done, games: progress("making synthetic games", done, games),
        )
