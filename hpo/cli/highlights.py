"""Commands highlights and precision."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hpo.cli.networks import Device
from model.errors import ConfigError

if TYPE_CHECKING:
    from hpo.study.highlights import SeenGame

_LOWEST_REVIEWED = 0.3


def highlights(
    game: Annotated[
        list[Path],
        typer.Option(help="Folder of a game, <league>/<season>/<game>; again with --opportunities."),
    ],
    to: Annotated[Path, typer.Option(help="Folder of the results.")],
    weights: Annotated[
        Path | None, typer.Option(help="best.pt of a trial, or what import-weights wrote; or give --run.")
    ] = None,
    run: Annotated[str | None, typer.Option(help="STUDY/TRIAL, or the id of its MLflow run.")] = None,
    video_1: Annotated[
        Path | None, typer.Option("--video-1", help="Video of the first half; with --video-2 makes an mp4.")
    ] = None,
    video_2: Annotated[Path | None, typer.Option("--video-2", help="Video of the second half.")] = None,
    copy: Annotated[
        bool, typer.Option("--copy", help="Copy streams: fast, clips begin at the key frame before.")
    ] = False,
    opportunities: Annotated[
        bool, typer.Option("--opportunities", help="Write sequences without a goal for two reviewers.")
    ] = False,
    classes: Annotated[
        str,
        typer.Option(metavar="NAME,...", help="Whose spots are shown. Default: those named goal or card."),
    ] = "",
    sequences: Annotated[
        str,
        typer.Option(metavar="NAME,...", help="Whose segmentation is looked at. Default: those named goal."),
    ] = "",
    confidence: Annotated[float, typer.Option(min=0, max=1, help="Least confidence of a spot.")] = 0.5,
    threshold: Annotated[
        float | None,
        typer.Option(min=0, max=1, help="Least score of a sequence. Default: 0.5; 0.3 for --opportunities."),
    ] = None,
    before: Annotated[float, typer.Option(metavar="SECONDS", min=0, help="Shown before a moment.")] = 15.0,
    after: Annotated[float, typer.Option(metavar="SECONDS", min=0, help="Shown after a moment.")] = 20.0,
    timecode_rate: Annotated[
        int, typer.Option(min=1, max=99, help="Frames a second of the video, for the EDL.")
    ] = 25,
    features: Annotated[
        str | None,
        typer.Option(help="resnet, c3d, i3d, or the stem of feature files. Default: those that fit."),
    ] = None,
    device: Device = "auto",
) -> None:
    """Cut the highlights of a game: spotted goals and cards, and what looks like a goal (section 5)."""
    from hpo.report.analysis import results_folder
    from hpo.report.highlights import VIDEO_FILE, Highlights, highlights_line, write_cut_lists
    from hpo.report.review import REVIEW_FILE, write_review
    from hpo.report.video import check_videos, find_ffmpeg, open_video, write_video
    from hpo.study.highlights import chosen_classes, highlight_moments
    from hpo.study.highlights import opportunities as opportunities_of
    from model.inference.highlights import LEAST_SCORE, cut_clips

    videos = [video for video in (video_1, video_2) if video is not None]
    if opportunities and (videos or copy):
        raise ConfigError("expected no videos with --opportunities: it writes a table for reviewers")
    if len(videos) == 1 or (copy and not videos):
        raise ConfigError("expected both --video-1 and --video-2, the halves of the game")
    if len(game) > 1 and not opportunities:
        raise ConfigError(f"expected one --game, got {len(game)}; several only with --opportunities")
    folder = results_folder(to)
    ffmpeg = find_ffmpeg() if videos else ""
    opened = [open_video(ffmpeg, video) for video in videos]
    seen = _see(game, weights, run, features, device)
    least = threshold if threshold is not None else _LOWEST_REVIEWED if opportunities else LEAST_SCORE
    looked_at = chosen_classes(sequences, ("goal",), seen[0].classes, "--sequences")
    if opportunities:
        rows = [
            (part.game, moment)
            for path, part in zip(game, seen, strict=True)
            for moment in opportunities_of(
                part, path, classes=looked_at, threshold=least, before_s=before, after_s=after
            )
        ]
        write_review(folder / REVIEW_FILE, rows)
        typer.echo(f"{len(rows)} sequences of {len(game)} games for two reviewers in {folder / REVIEW_FILE}")
        return
    shown = chosen_classes(classes, ("goal", "card"), seen[0].classes, "--classes")
    moments = highlight_moments(
        seen[0], classes=shown, sequence_classes=looked_at, confidence=confidence, threshold=least
    )
    clips = cut_clips(moments, seen[0].lengths_s, before_s=before, after_s=after)
    names = seen[0].classes
    found = Highlights(
        game=seen[0].game,
        classes=names,
        clips=tuple(clips),
        settings={
            "classes": [names[index] for index in shown],
            "sequences": [names[index] for index in looked_at],
            "confidence": confidence,
            "threshold": least,
            "before_s": before,
            "after_s": after,
        },
    )
    if opened:
        check_videos(opened, clips, copy=copy)
    files = write_cut_lists(found, folder, timecode_rate=timecode_rate)
    if opened and clips:
        write_video(ffmpeg, opened, clips, folder / VIDEO_FILE, copy=copy)
        files.append(folder / VIDEO_FILE)
    typer.echo(f"{highlights_line(found)}\n{', '.join(file.name for file in files)} in {folder}")


def precision(
    review: Annotated[Path, typer.Argument(help="What highlights --opportunities wrote, answered.")],
    to: Annotated[Path, typer.Option(help="Folder for table and figure.")] = Path("precision"),
) -> None:
    """Precision of the opportunities against their score (figure 8), from two reviewers' yes and no."""
    from hpo.report.analysis import results_folder
    from hpo.report.review import precision_table, read_review, write_precision
    from hpo.report.tables import print_table
    from model.metrics.review import reviewed_precision

    found = reviewed_precision(*read_review(review))
    files = write_precision(found, results_folder(to))
    print_table(precision_table(found))
    typer.echo(f"{', '.join(file.name for file in files)} in {to}")


def _see(
    games: list[Path], weights: Path | None, run: str | None, features: str | None, device: str
) -> "list[SeenGame]":
    import torch

    from hpo.config.environment import read_environment
    from hpo.study.analysing import find_trial
    from hpo.study.highlights import see_game
    from hpo.study.plan import choose_device
    from model.data.description import builtin_description
    from model.weights.trained import TrainedNetwork

    if run is not None and weights is None:
        # Nothing is scored here, so it does not matter whether the test split is still closed.
        weights, run = find_trial(run, "valid", read_environment()).weights, None
    if weights is None or run is not None:
        raise ConfigError("expected either --weights FILE or --run STUDY/TRIAL")
    trained, chosen = TrainedNetwork.load(weights), torch.device(choose_device(device))
    stem = None if features is None else builtin_description("soccernet-v1").feature_stem(features)
    return [see_game(trained, folder, stem=stem, device=chosen) for folder in games]
