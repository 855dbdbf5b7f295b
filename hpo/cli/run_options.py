"""Options that the commands of ``hpo run`` share."""

from pathlib import Path
from typing import Annotated

import typer

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
Seeds = Annotated[int | None, typer.Option(min=1, help="Seeds for every configuration that is compared.")]
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
RayAddress = Annotated[
    str | None,
    typer.Option(
        metavar="auto|HOST:PORT",
        help="Train on the Ray cluster that this machine is part of. Default: $RAY_ADDRESS, else here.",
    ),
]
