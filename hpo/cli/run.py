"""``hpo run``: start a study, or the next stage of one."""

from pathlib import Path
from typing import Annotated, Any

import typer

from hpo.cli.launching import Launch, stage_request, two_counts
from hpo.cli.running import RayAddress, ReadingProgress
from model.errors import ConfigError

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
    str | None,
    typer.Option(help="A study file: an installed one by name (calf, calf-v2, demo, bmn), or a path."),
]
Games = Annotated[
    str | None,
    typer.Option(
        "--games", "--videos", metavar="TRAIN,VALID", help="Use the first items of the two splits only."
    ),
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
    """Search the hyperparameters of a space together by Bayesian optimisation.

    With calf these are f, r, alpha2, beta and lambda_seg. Without --features and --data it makes a small
    synthetic data set and searches on that.
    """
    launch = _launch(
        features, data, data_uri, study_file, games, epochs, seed, device, ray_address, dry_run=dry_run
    )
    options = {
        "trials": trials,
        "replicates": replicates,
        "searcher": searcher,
        "scheduler": scheduler,
        "concurrent": concurrent,
        "array": array,
    }
    launch.start([stage_request("bayes", options, warm_start=warm_start)], study)


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
    scheduler: Scheduler = None,
    seeds: Seeds = None,
    final_epochs: Annotated[int | None, typer.Option(min=1, help="Epochs of the final's trials.")] = None,
    seed: Seed = 0,
    device: Device = "auto",
    ray_address: RayAddress = None,
    dry_run: DryRun = False,
) -> None:
    """Run the paper's whole procedure in one study: bayes, grid-slicing, final."""
    launch = _launch(
        features, data, data_uri, study_file, games, epochs, seed, device, ray_address, dry_run=dry_run
    )
    stages = [
        stage_request(
            "bayes",
            {
                "trials": trials,
                "searcher": searcher,
                "scheduler": scheduler,
                "concurrent": concurrent,
                "array": array,
            },
        ),
        stage_request("grid-slicing", {"concurrent": concurrent, "array": array}),
        stage_request(
            "final", {"seeds": seeds, "epochs": final_epochs, "concurrent": concurrent, "array": array}
        ),
    ]
    launch.start(stages, study)


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
    launch = _launch(
        features, data, data_uri, study_file, games, None, seed, device, ray_address, dry_run=dry_run
    )
    _next_stage(launch, start, "grid-slicing", options, study)


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
        launch = _launch(
            features, data, data_uri, study_file, games, None, seed, device, ray_address, dry_run=dry_run
        )
        _next_stage(launch, start, name, options, study)

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


def _next_stage(
    launch: Launch, start: str | None, stage: str, options: dict[str, Any], name: str | None
) -> None:
    """One more stage of a study, or the first of a new one that starts from a given configuration."""
    if start is not None and not launch.is_known(name):
        launch.start_from(start, stage, options, name)
    else:
        launch.go_on(start, stage, options, name)


def _launch(
    features: str | None,
    data: Path | None,
    data_uri: str | None,
    study_file: str | None,
    games: str | None,
    epochs: int | None,
    seed: int,
    device: str,
    ray_address: str | None,
    *,
    dry_run: bool,
) -> Launch:
    """What was typed of a new study; without data and features the embedded default."""
    from hpo.config.environment import read_environment
    from hpo.config.study_file import read_study_file
    from hpo.study.plan import StudyRequest
    from hpo.tasks.base.places import chosen_place

    environment = read_environment().on_cluster(ray_address)
    embedded = features is None and data is None and data_uri is None
    if embedded and study_file and read_study_file(study_file)[0].get("task") != "calf":
        raise ConfigError("only action spotting has data of its own", fix="add --data DIR")
    demo = environment.runs / "data" / f"synthetic-{seed}"
    request = StudyRequest(
        study_file=study_file or ("demo" if embedded else "calf"),
        data=chosen_place(data, data_uri, default=demo if embedded else environment.data),
        features=features,
        counts=two_counts(games, "--games"),
        epochs=epochs,
        seed=seed,
        device=device,
    )
    return Launch(
        request=request,
        environment=environment,
        make_data=lambda: _make_games(demo, seed) if request.data == str(demo.absolute()) else None,
        has_data=not (data is None and data_uri is None),
        has_study_file=study_file is not None,
        dry_run=dry_run,
    )


def _make_games(root: Path, seed: int) -> None:
    """Make the synthetic data set of the embedded default on the spot where it is not there."""
    from model.data.synthetic import write_synthetic

    if (root / "dataset.toml").exists():
        return
    with ReadingProgress() as progress:
        write_synthetic(
            root,
            games=DEMO_GAMES,
            minutes=DEMO_MINUTES,
            seed=seed,
            progress=lambda done, games: progress("making synthetic games", done, games),
        )
