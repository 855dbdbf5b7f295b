"""Options that the commands of ``hpo run`` share."""

from pathlib import Path
from typing import Annotated

import typer

Features = Annotated[
    str | None, typer.Option(help="resnet, c3d, i3d, or the stem of feature files (EVENTS for 1_EVENTS.npy).")
]
Data = Annotated[
    Path | None,
    typer.Option(
        help="Data folder. Default with --features: $HPO_DATA, else ./data; without both, small generated "
        "data."
    ),
]
DataUri = Annotated[
    str | None,
    typer.Option(metavar="URI", help="Data at a URI (s3://...); every machine that trains downloads a copy."),
]
StudyFileOption = Annotated[
    str | None,
    typer.Option(help="Study file: the name of an installed one (calf, calf-v2, demo, bmn), or a path."),
]
Games = Annotated[
    str | None,
    typer.Option(
        "--games",
        "--videos",
        metavar="TRAIN,VALID",
        help="Use only the first items of the two splits. Default: all.",
    ),
]
Concurrent = Annotated[
    int | None,
    typer.Option(
        metavar="NUMBER",
        min=1,
        help="Number of trials that run at the same time. Default: from the study file.",
    ),
]
Array = Annotated[
    int | None,
    typer.Option(
        metavar="NUMBER",
        min=1,
        help="Number of trials that are trained together in one process. Default: on a GPU the fastest "
        "number in a "
        "short measurement, else 1.",
    ),
]
Seed = Annotated[
    int, typer.Option(metavar="NUMBER", min=0, max=2**53, help="Seed of chunks, weights and search.")
]
Device = Annotated[str, typer.Option(help="Device: auto, cpu or cuda.")]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Show the plan with an estimate of its time, and start nothing.")
]
NewStudy = Annotated[str | None, typer.Option(help="Name of the study. Default: made of data and features.")]
Trials = Annotated[
    int | None,
    typer.Option(
        metavar="NUMBER", min=1, help="Number of configurations to try. Default: from the study file."
    ),
]
Replicates = Annotated[
    int | None,
    typer.Option(
        metavar="NUMBER",
        min=1,
        help="Seeds per configuration; its score is the average. Default: from the study file.",
    ),
]
Searcher = Annotated[
    str | None,
    typer.Option(
        help="Search algorithm: bayes-opt, optuna-gp, optuna-tpe or random. Default: from the study file."
    ),
]
Scheduler = Annotated[
    str | None,
    typer.Option(
        help="Rule that stops poor trials early: none, asha or median. Default: from the study file."
    ),
]
Seeds = Annotated[
    int | None,
    typer.Option(
        metavar="NUMBER",
        min=1,
        help="Seeds per configuration that is compared. Default: from the study file.",
    ),
]
Epochs = Annotated[
    int | None, typer.Option(metavar="NUMBER", min=1, help="Epochs per trial. Default: from the study file.")
]
From = Annotated[
    str | None,
    typer.Option(
        "--from",
        metavar="paper|STUDY|RUN|FILE",
        help="Configuration to start from: the study file's own (paper), the one that a study found, an "
        "MLflow run, "
        "or a JSON or TOML file. Default: the one that this study found.",
    ),
]
Study = Annotated[
    str | None,
    typer.Option(
        help="Study to continue. Default: the one that changed last; with --from and --data, a new one."
    ),
]
RayAddress = Annotated[
    str | None,
    typer.Option(
        metavar="auto|HOST:PORT",
        help="Ray cluster of this machine, to run the trials on. Default: $RAY_ADDRESS, else this machine "
        "alone.",
    ),
]
