"""Options that the commands of ``hpo run`` share."""

from pathlib import Path
from typing import Annotated

import typer

from hpo.config.limits import LARGEST_SEED
from hpo.tasks.base.presentation.stage_command import FINAL_SEEDS

SEED_COUNT = 'NUMBER|"until decided"'
"""Metavariable of the number of seeds of a final."""

Features = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="Features to train on: resnet, c3d, i3d, or the stem of feature files (EVENTS for "
        "1_EVENTS.npy). Default: the features of the data, if there is one set. An existing study keeps its "
        "own.",
    ),
]
Data = Annotated[
    Path | None,
    typer.Option(
        metavar="FOLDER",
        help="Data folder of a new study. Default with --features: $HPO_DATA, else ./data; without both, a "
        "small generated data set. Of an existing study: the folder to which its data have moved.",
    ),
]
MovedData = Annotated[
    str | None,
    typer.Option(
        "--data",
        metavar="FOLDER|URI",
        help="Folder or URI (s3://...) to which the data of the study have moved; their content must be the "
        "same.",
    ),
]
DataUri = Annotated[
    str | None,
    typer.Option(
        metavar="URI", help="URI of the data (s3://...); every machine that trains downloads a copy."
    ),
]
StudyFileOption = Annotated[
    str | None,
    typer.Option(
        metavar="NAME|FILE",
        help="Study file: the name of an installed one (calf, calf-v2, demo, bmn, bmn-demo), or a path. "
        "Default: the one that fits the command and the data. An existing study takes from it the settings "
        "of a stage that has not run; for more trials of its search, those that can change, such as trials "
        "and space.",
    ),
]
Games = Annotated[
    str | None,
    typer.Option(
        "--games",
        "--videos",
        metavar="TRAIN,VALID",
        help="Number of items to use from the start of the training and validation splits. Default: all. An "
        "existing study keeps its own.",
    ),
]
Labels = Annotated[
    str | None,
    typer.Option(
        metavar="v1|v2",
        help="Version of SoccerNet's labels: v1 has 3 classes, v2 has 17. Default: from the study file, else "
        "the version that the data folder has. An existing study keeps its own.",
    ),
]
SkipMissing = Annotated[
    bool,
    typer.Option(
        "--skip-missing",
        help="Leave out ActivityNet videos without a feature file and show their number. Default: from the "
        "study file.",
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
        help="Number of trials that one process trains together. Default: on a GPU the number that a short "
        "measurement finds fastest, else 1.",
    ),
]
Seed = Annotated[
    int | None,
    typer.Option(
        metavar="NUMBER",
        min=0,
        max=LARGEST_SEED,
        help="Seed of the chunks, the initial weights and the search. Default: 0. An existing study keeps "
        "its own.",
    ),
]
Device = Annotated[str, typer.Option(metavar="auto|cpu|cuda", help="Device to compute on.")]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Print the plan with an estimate of its time; start nothing.")
]
Hours = Annotated[
    float | None,
    typer.Option(
        metavar="HOURS",
        help="Time limit in hours, counted over all sessions. No trial starts that would not finish in time; "
        "hpo resume continues. inf: no limit. Default: from the study file.",
    ),
]
Until = Annotated[
    str | None,
    typer.Option(
        metavar="TIME",
        help='Time at which the study stops, as after --hours: 18:00 or "2026-01-31 18:00", local time.',
    ),
]
NewStudy = Annotated[
    str | None,
    typer.Option(
        metavar="NAME", help="Name of the new study. Default: built from the data and the features."
    ),
]
Trials = Annotated[
    int | None,
    typer.Option(
        metavar="NUMBER", min=1, help="Number of configurations to try. Default: from the study file."
    ),
]
Try = Annotated[
    Path | None,
    typer.Option(
        "--try",
        metavar="FILE",
        help="Points to try first, after the study file's own: a CSV, JSON or TOML file with the symbols of "
        "hyperparameters, such as f and alpha2, as its columns or keys. Missing values come from the study "
        "file. Default: [[stages.bayes.try]].",
    ),
]
SpaceOption = Annotated[
    list[str] | None,
    typer.Option(
        "--space",
        metavar="NAME=LOW..HIGH",
        help="New bounds for a hyperparameter (alpha2=0.5..200), new choices (f=8,16) or a fixed value "
        "(f=16); can be repeated. Default: from the study file. A study whose search has ended continues in "
        "the wider space.",
    ),
]
Replicates = Annotated[
    int | None,
    typer.Option(
        metavar="NUMBER",
        min=1,
        help="Seeds per configuration; its score is the average. With a scheduler, the largest number: only "
        "good configurations get more than one. Default: from the study file.",
    ),
]
Searcher = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="Search algorithm: botorch, bayes-opt, optuna-gp, optuna-tpe or random. Default: from the study "
        "file.",
    ),
]
Scheduler = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="Rule that stops poor trials early: none, asha or median. Default: from the study file.",
    ),
]
StopWhen = Annotated[
    str | None,
    typer.Option(
        "--stop-when",
        metavar="never|unlikely",
        help="unlikely: the search ends early when further trials are expected to gain less than the noise "
        "between seeds. Default: from the study file.",
    ),
]
Seeds = Annotated[str | None, typer.Option(metavar=SEED_COUNT, help=FINAL_SEEDS.help)]
Epochs = Annotated[
    int | None, typer.Option(metavar="NUMBER", min=1, help="Epochs per trial. Default: from the study file.")
]
From = Annotated[
    str | None,
    typer.Option(
        "--from",
        metavar="paper|STUDY[/TRIAL]|RUN|FILE",
        help="Configuration to start from: the study file's own (paper), the one that another study found, "
        "that of a trial, an MLflow run, or a JSON or TOML file. Default: the one that this study found.",
    ),
]
Study = Annotated[
    str | None,
    typer.Option(
        metavar="STUDY",
        help="Study to continue, or with --from the name of a new one. Default: the study that changed last; "
        "with --from and --data or --features, a new one.",
    ),
]
RayAddress = Annotated[
    str | None,
    typer.Option(
        metavar="auto|HOST:PORT",
        help="Address of the Ray cluster that runs the trials; this machine must be one of its nodes. "
        "Default: $RAY_ADDRESS, else this machine alone.",
    ),
]
Notify = Annotated[
    list[str] | None,
    typer.Option(
        metavar="URL|$NAME",
        help="Apprise URL to notify when a stage ends, the study stops, many trials fail or a trial hangs; "
        "or $NAME (in single quotes) for the environment variable that holds it; can be repeated. Needs the "
        "package apprise. Default: [notify] in the study file.",
    ),
]
