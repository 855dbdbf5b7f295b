"""``hpo data``: check, download, convert or generate data sets."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hpo.api.watching import ReadingProgress
from hpo.cli.launching import two_counts
from model.errors import ConfigError, DataError
from model.shell import shell_line
from model.timeline import FrameRate
from model.wording import counted

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from model.errors import Problem

app = typer.Typer(help="Check, download, convert or generate data sets.", no_args_is_help=True)

_BMN_POSITIONS = 100
"""Temporal positions in the study file ``bmn``, as published."""
Target = Annotated[Path, typer.Option("--to", metavar="FOLDER", help="Data folder to write.")]


@app.command()
def check(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Data folder to check.")],
    features: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="Features to check, such as resnet. Default: all that the data set names."
        ),
    ] = None,
    games: Annotated[
        str | None,
        typer.Option(
            metavar="TRAIN,VALID",
            help="Check only this many games from the start of the training and validation splits, as "
            "hpo run --games uses them. Default: all games of all splits.",
        ),
    ] = None,
    labels: Annotated[
        str | None,
        typer.Option(
            metavar="v1|v2",
            help="Version of SoccerNet's labels to check: v1 has 3 classes, v2 has 17. Default: the version "
            "that the folder has.",
        ),
    ] = None,
    video: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FILE",
            help="Compare features with their video: a video named like its game, or a table of videos as "
            "for hpo data extract --games. Repeatable.",
        ),
    ] = None,
) -> None:
    """Check a whole data set.

    Reports every problem with its file and its place in the file. The folder has SoccerNet's layout, or that
    of ActivityNet for BMN. With --video, only lengths and rates of features and videos are compared.
    """
    from model.data.activitynet.check import is_activitynet
    from model.data.checks.check import check_dataset
    from model.data.layout.description import SPLITS

    if video:
        if games is not None:
            raise ConfigError("--games has no meaning with --video", fix="leave --games out")
        _compare_with_videos(folder, video, features, labels)
        return
    if is_activitynet(folder):
        for option, value in (("--games", games), ("--labels", labels)):
            if value is not None:
                raise ConfigError(
                    f"{option} is for data in SoccerNet's layout, {folder} has that of ActivityNet",
                    fix=f"leave {option} out",
                )
        _check_activitynet(folder, features)
        return
    counts = two_counts(games, "--games")
    with ReadingProgress() as progress:
        report = check_dataset(
            folder,
            features=features,
            labels=labels,
            splits=SPLITS if counts is None else ("train", "valid"),
            counts=counts,
            progress=lambda done, total: progress("checking games", done, total),
        )
    typer.echo(f"data set {report.labels}")
    _show_counts(report.games, report.actions, report.frames, next(iter(report.rates.values())))
    for stem, dims in report.dims.items():
        typer.echo(f"features {stem}: {dims} dimensions, {FrameRate(report.rates[stem])}")
    for notice in report.notices:
        typer.echo(f"note: {notice}")
    _show_problems(report.problems, folder)


def _compare_with_videos(folder: Path, files: list[Path], features: str | None, labels: str | None) -> None:
    from model.data.layout.description import read_description
    from model.features.agreement import compare_with_videos
    from model.features.games import games_of_files, read_games

    description = read_description(folder, labels)
    tables = [file for file in files if file.suffix.lower() == ".csv"]
    games = games_of_files([file for file in files if file not in tables])
    games += [game for table in tables for game in read_games(table)]
    stem = None if features is None else description.feature_stem(features)
    lines, problems = compare_with_videos(folder, description, games, stem=stem)
    for line in lines:
        typer.echo(line)
    _show_problems(problems, folder)


def _check_activitynet(folder: Path, features: str | None) -> None:
    from rich.table import Table

    from hpo.report.console import print_table
    from model.data.activitynet.check import check_videos

    with ReadingProgress() as progress:
        report = check_videos(folder, features=features, progress=progress)
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("")
    for subset in report.videos:
        table.add_column(subset, justify="right")
    rows = {"videos": report.videos, "activities": report.activities, **report.features}
    for name, counts in rows.items():
        table.add_row(name, *(f"{counts[subset]:,}" if subset in counts else "" for subset in report.videos))
    print_table(table)
    scores = "with" if report.scores else "without"
    typer.echo(f"{counted(report.classes, 'class', 'classes')}, {scores} class scores")
    for name, dims in report.dims.items():
        typer.echo(f"features {name}: {dims} dimensions")
    if report.past_end:
        activities = counted(report.past_end, "activity", "activities")
        typer.echo(f"cut at the end of the video, which is earlier: {activities}")
    if report.unlisted:
        typer.echo(f"{report.unlisted:,} annotated videos are not in the list of videos and are not used")
    _show_problems(report.problems, folder)


def _show_problems(problems: "Sequence[Problem]", folder: Path) -> None:
    """Print all problems; raise an error if there are any."""
    if problems:
        typer.echo("")
        for problem in problems:
            typer.echo(str(problem))
        raise DataError(f"{counted(len(problems), 'problem')} in {folder}, listed above")
    typer.echo("no problems")


@app.command()
def download(
    to: Target,
    features: Annotated[
        str,
        typer.Option(
            metavar="NAME", help="Features to download: resnet, c3d, i3d, or the stem of other feature files."
        ),
    ] = "resnet",
    splits: Annotated[str, typer.Option(metavar="NAME,...", help="Splits to download.")] = "train,valid,test",
    labels: Annotated[
        str, typer.Option(metavar="v1|v2", help="Version of the labels: v1 has 3 classes, v2 has 17.")
    ] = "v1",
) -> None:
    """Download SoccerNet and check it.

    After a stop, run the command again to continue.
    """
    from model.data.download import download_soccernet

    try:
        with ReadingProgress() as progress:
            report = download_soccernet(
                to,
                features=features,
                labels=labels,
                splits=[split.strip() for split in splits.split(",")],
                progress=progress,
            )
    except KeyboardInterrupt:
        typer.echo("stopped; run the same command again to continue", err=True)
        raise typer.Exit(130) from None
    games = ", ".join(f"{count} {split}" for split, count in report.games.items())
    typer.echo(
        f"{games} games in {to}, all files valid: {report.fetched} downloaded, {report.kept} already present"
    )
    for file in report.aside:
        typer.echo(f"invalid file downloaded again; the old one is kept as {file}")
    typer.echo(f"next: {shell_line('hpo', 'run', 'bayes', '--features', features, '--data', to)}")


@app.command()
def synthetic(
    to: Target,
    games: Annotated[
        str, typer.Option(metavar="TRAIN,VALID,TEST", help="Numbers of games in the three splits.")
    ] = "60,20,20",
    minutes: Annotated[
        int, typer.Option(metavar="NUMBER", min=14, help="Duration of a half in minutes.")
    ] = 45,
    seed: Annotated[int, typer.Option(metavar="NUMBER", min=0, help="Seed of all random numbers.")] = 0,
) -> None:
    """Generate synthetic games.

    Their actions leave a known temporal context in the features.
    """
    from model.data.layout.description import SPLITS
    from model.data.synthetic import planted_zones_s, write_synthetic

    counts = games.split(",")
    if len(counts) != len(SPLITS) or not all(count.strip().isdecimal() for count in counts):
        raise ConfigError(f"expected --games TRAIN,VALID,TEST such as 60,20,20, got {games!r}")
    numbers = dict(zip(SPLITS, map(int, counts), strict=True))
    if not (numbers["train"] and numbers["valid"]):
        raise ConfigError(f"expected at least one training and one validation game, got --games {games}")
    with ReadingProgress() as progress:
        write_synthetic(
            to,
            games=numbers,
            minutes=minutes,
            seed=seed,
            progress=lambda done, total: progress("generating games", done, total),
        )
    typer.echo(f"{games} games written to {to}; zones that fit the planted context, for a study file:")
    typer.echo("[zones_s]")
    for name, zones in planted_zones_s().items():
        typer.echo(f"{name} = {list(zones)}")
    typer.echo(f"next: {shell_line('hpo', 'run', 'bayes', '--data', to)}")


@app.command()
def wyscout(
    source: Annotated[
        Path,
        typer.Option(
            "--from",
            metavar="FOLDER",
            help="Folder with events.zip and matches.zip, or with the JSON files in them. It may also have "
            "lists of match ids: splits/train.txt, splits/valid.txt and splits/test.txt.",
        ),
    ],
    to: Target,
    seed: Annotated[
        int,
        typer.Option(metavar="NUMBER", min=0, help="Seed that draws the splits, if no lists give them."),
    ] = 0,
) -> None:
    """Convert the open Wyscout event data.

    The result is a data set with the features EVENTS.
    """
    from model.data.wyscout import convert_wyscout

    with ReadingProgress() as progress:
        report = convert_wyscout(
            source, to, seed=seed, progress=lambda done, games: progress("converting games", done, games)
        )
    _show_counts(report.games, report.actions, report.frames, report.per_second)
    typer.echo(f"splits: {report.splits_origin}")
    for what, count in report.dropped.items():
        typer.echo(f"left out: {count} {what}")
    typer.echo(f"next: {shell_line('hpo', 'run', 'bayes', '--features', 'events', '--data', to)}")


@app.command()
def activitynet(
    annotations: Annotated[
        Path,
        typer.Argument(metavar="FOLDER", help="Folder with anet_anno_action.json and video_info_new.csv."),
    ],
    to: Annotated[Path, typer.Argument(metavar="TO", help="Data folder to write.")],
    videos: Annotated[
        str, typer.Option(metavar="TRAINING,VALIDATION", help="Numbers of videos in the two subsets.")
    ] = "300,100",
    seed: Annotated[int, typer.Option(metavar="NUMBER", min=0, help="Seed of all random numbers.")] = 0,
    positions: Annotated[
        int, typer.Option(metavar="NUMBER", min=2, help="Number of temporal positions per video.")
    ] = _BMN_POSITIONS,
    dims: Annotated[
        int,
        typer.Option(metavar="NUMBER", min=1, help="Number of features per position, a multiple of 4."),
    ] = 400,
) -> None:
    """Generate features for ActivityNet.

    The features fit the given annotations. After a stop, run the command again to continue.
    """
    from model.data.activitynet.annotations import first_videos, read_videos
    from model.data.activitynet.features import DIMS_STEP
    from model.data.activitynet.synthetic import make_dataset

    counts = videos.split(",")
    if len(counts) != 2 or not all(count.strip().isdecimal() and int(count) for count in counts):
        raise ConfigError(f"expected --videos TRAINING,VALIDATION such as 300,100, got {videos!r}")
    if dims % DIMS_STEP:
        raise ConfigError(
            f"expected --dims as a multiple of {DIMS_STEP}, which the network needs, got {dims}"
        )
    annotated = [video for video in read_videos(annotations) if len(video.segments_s)]
    train, valid = (
        first_videos(annotated, subset, int(count), folder=annotations)
        for subset, count in zip(("training", "validation"), counts, strict=True)
    )
    try:
        with ReadingProgress() as progress:
            make_dataset(
                to,
                [*train, *valid],
                positions=positions,
                dims=dims,
                seed=seed,
                progress=lambda done, total: progress("generating features", done, total),
            )
    except KeyboardInterrupt:
        typer.echo("stopped; run the same command again to continue", err=True)
        raise typer.Exit(130) from None
    typer.echo(f"{len(train)} training and {len(valid)} validation videos with features written to {to}")
    command = shell_line("hpo", "run", "bmn-slicing", "--data", to)
    if positions != _BMN_POSITIONS:
        typer.echo(
            f"next: set positions = {positions} under [network] in a study file for the task bmn, then"
        )
        command += " --study-file FILE"
    typer.echo(f"next: {command}")


def _show_counts(
    games: "Mapping[str, int]",
    actions: "Mapping[str, Mapping[str, int]]",
    frames: "Mapping[str, int]",
    per_second: float,
) -> None:
    """Print one column per split: games, frames, their duration, and actions of every class."""
    from rich.table import Table

    from hpo.report.console import print_table

    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("")
    for split in games:
        table.add_column(split, justify="right")
    table.add_row("games", *(f"{count:,}" for count in games.values()))
    table.add_row("frames", *(f"{frames[split]:,}" for split in games))
    table.add_row("minutes", *(f"{frames[split] / per_second / 60:,.0f}" for split in games))
    for name in dict.fromkeys(name for counts in actions.values() for name in counts):
        table.add_row(name, *(f"{actions[split].get(name, 0):,}" for split in games))
    print_table(table)
