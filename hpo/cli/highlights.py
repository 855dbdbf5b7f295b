"""Commands ``hpo highlights`` and ``hpo precision``."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hpo.cli.networks import (
    Device,
    Features,
    ForceFeatures,
    ModelWeights,
    PcaFile,
    WeightsOrRun,
    features_of_videos,
    refuse_extraction_options,
)
from model.errors import ConfigError
from model.inference.durations import AFTER_S, BEFORE_S, LONGEST_S
from model.wording import counted

if TYPE_CHECKING:
    from collections.abc import Mapping

    from model.weights.trained import TrainedNetwork

_LOWEST_REVIEWED = 0.3


def highlights(
    to: Annotated[Path, typer.Option(metavar="FOLDER", help="Folder to write the results to.")],
    game: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FOLDER",
            help="Folder of a game, <league>/<season>/<game>. Repeatable with --opportunities. Default: "
            "extract the features from the videos, like the training features.",
        ),
    ] = None,
    weights: WeightsOrRun = None,
    run: Annotated[
        str | None,
        typer.Option(
            metavar="RUN", help="Trial that trained the network: STUDY/TRIAL, or the id of its MLflow run."
        ),
    ] = None,
    video_1: Annotated[
        Path | None,
        typer.Option(
            "--video-1",
            metavar="FILE",
            help="Video of the first half. With the video of every half that the game has, the command also "
            "writes the highlights as an mp4 file.",
        ),
    ] = None,
    video_2: Annotated[
        Path | None, typer.Option("--video-2", metavar="FILE", help="Video of the second half.")
    ] = None,
    copy: Annotated[
        bool,
        typer.Option(
            "--copy",
            help="Copy the video streams without encoding: faster, but clips begin at the key frame "
            "before their start.",
        ),
    ] = False,
    opportunities: Annotated[
        bool,
        typer.Option(
            "--opportunities",
            help="Write a table of the sequences without an annotated goal, for two reviewers.",
        ),
    ] = False,
    classes: Annotated[
        str | None,
        typer.Option(
            metavar="NAME,...", help="Classes whose spots are shown. Default: classes named goal or card."
        ),
    ] = None,
    sequences: Annotated[
        str | None,
        typer.Option(
            metavar="NAME,...",
            help="Classes whose segmentation scores are used. Default: classes named goal.",
        ),
    ] = None,
    confidence: Annotated[
        float | None,
        typer.Option(
            metavar="NUMBER",
            min=0,
            max=1,
            help="Smallest confidence of a spot that is shown. Default with --run: for each class, the value "
            "with the best F1 on the validation split; with --weights: 0.5.",
        ),
    ] = None,
    threshold: Annotated[
        float | None,
        typer.Option(
            metavar="NUMBER",
            min=0,
            max=1,
            help="Smallest segmentation score of a sequence; with --opportunities, its peak is above it. "
            "Default: 0.5, or 0.3 with --opportunities.",
        ),
    ] = None,
    before: Annotated[
        float,
        typer.Option(
            metavar="SECONDS", min=0, max=LONGEST_S, help="Seconds that a clip shows before the action."
        ),
    ] = BEFORE_S,
    after: Annotated[
        float,
        typer.Option(
            metavar="SECONDS", min=0, max=LONGEST_S, help="Seconds that a clip shows after the action."
        ),
    ] = AFTER_S,
    timecode_rate: Annotated[
        float | None,
        typer.Option(
            metavar="NUMBER",
            min=1,
            max=99,
            help="Frames per second of the video, such as 29.97, for the EDL. Default: those of the videos, "
            "else 25.",
        ),
    ] = None,
    features: Features = None,
    force_features: ForceFeatures = False,
    model_weights: ModelWeights = None,
    pca: PcaFile = None,
    device: Device = "auto",
) -> None:
    """Cut the highlights of a game.

    Highlights are spotted goals and cards, and sequences that look like goals.
    """
    import torch

    from hpo.spotting.analysis_files import results_folder
    from hpo.spotting.cut_lists import VIDEO_FILE, highlights_line, write_cut_lists
    from hpo.spotting.footage import chosen_classes, predict_game
    from hpo.spotting.footage import highlights as highlights_of
    from hpo.spotting.footage import opportunities as opportunities_of
    from hpo.spotting.review import REVIEW_FILE, write_review
    from hpo.spotting.spotted_game import FeatureChoice
    from hpo.spotting.video import (
        check_clips,
        check_same_kind,
        edl_rate,
        find_ffmpeg,
        open_video,
        write_video,
    )
    from hpo.study.devices import choose_device
    from model.data.single_game import find_game
    from model.features.games import halves_of_game
    from model.inference.clips import LEAST_SCORE

    videos = {half: video for half, video in enumerate((video_1, video_2)) if video is not None}
    of_spots = {"--confidence": confidence, "--classes": classes, "--timecode-rate": timecode_rate}
    if opportunities and (typed := [option for option, given in of_spots.items() if given is not None]):
        raise ConfigError(
            f"--opportunities writes a table of sequences, for which {typed[0]} has no meaning",
            fix=f"leave {typed[0]} out",
        )
    _check_options(game or [], videos, copy=copy, opportunities=opportunities)
    if game:
        refuse_extraction_options(model_weights, pca)
    folder = results_folder(to)
    ffmpeg = find_ffmpeg() if videos else ""
    opened = {half: open_video(ffmpeg, video) for half, video in videos.items()}
    if copy:
        check_same_kind(opened.values())
    rate = edl_rate(opened.values(), timecode_rate)
    trained, confidences = _network(weights, run, confidence, device, opportunities=opportunities)
    choices: dict[str, tuple[str | None, tuple[str, ...]]] = {"--sequences": (sequences, ("goal",))}
    if not opportunities:
        choices["--classes"] = (classes, ("goal", "card"))
    chosen = chosen_classes(choices, trained.classes)
    chosen_device = torch.device(choose_device(device))
    games = [find_game(each) for each in game or []] or features_of_videos(
        trained, halves_of_game(videos), folder, model_weights=model_weights, pca=pca, device=chosen_device
    )
    choice = FeatureChoice(name=features, forced=force_features)
    if opportunities:
        cut_at = _LOWEST_REVIEWED if threshold is None else threshold
        clips = opportunities_of(
            trained,
            games,
            choice,
            device=chosen_device,
            classes=chosen["--sequences"],
            threshold=cut_at,
            before_s=before,
            after_s=after,
        )
        rows = write_review(folder / REVIEW_FILE, clips, cut_at=cut_at)
        typer.echo(
            f"{counted(rows, 'sequence')} of {counted(len(games), 'game')} for two reviewers in "
            f"{folder / REVIEW_FILE}"
        )
        if not rows:
            typer.echo(
                f"no sequence has a score above {cut_at:g}, or each clip shows an annotated action: "
                "shorten --before and --after, or raise --threshold",
                err=True,
            )
        return
    found = highlights_of(
        predict_game(trained, games[0], choice, device=chosen_device),
        confidences={index: confidences[index] for index in chosen["--classes"]},
        sequence_classes=chosen["--sequences"],
        threshold=LEAST_SCORE if threshold is None else threshold,
        before_s=before,
        after_s=after,
    )
    if opened:
        check_clips(opened, found.clips)
    files = write_cut_lists(found, folder, timecode_rate=rate)
    if opened and found.clips:
        write_video(ffmpeg, opened, found.clips, folder / VIDEO_FILE, copy=copy)
        files.append(folder / VIDEO_FILE)
    typer.echo(f"{highlights_line(found)}\n{', '.join(file.name for file in files)} in {folder}")


def precision(
    review: Annotated[
        Path,
        typer.Argument(
            metavar="FILE",
            help="Table that hpo highlights --opportunities wrote, with both reviewers' answers.",
        ),
    ],
    to: Annotated[
        Path, typer.Option(metavar="FOLDER", help="Folder to write the table and the figure to.")
    ] = Path("precision"),
) -> None:
    """Compute the precision of opportunities from the answers of two reviewers (figure 8).

    The table and the figure show it as a function of the segmentation score.
    """
    from hpo.report.console import print_table
    from hpo.spotting.analysis_files import results_folder
    from hpo.spotting.review import precision_table, read_review, write_precision
    from model.metrics.review import reviewed_precision

    answers = read_review(review)
    found = reviewed_precision(answers.peaks, answers.verdicts, answers.thresholds)
    files = write_precision(found, results_folder(to))
    print_table(precision_table(found))
    typer.echo(f"{', '.join(file.name for file in files)} in {to}")


def _check_options(
    games: list[Path], videos: "Mapping[int, Path]", *, copy: bool, opportunities: bool
) -> None:
    if opportunities and (videos or copy):
        raise ConfigError("--opportunities writes a table for reviewers and takes no videos")
    if not games and not videos:
        raise ConfigError("expected --game FOLDER, or --video-1 FILE of a game without extracted features")
    if copy and not videos:
        raise ConfigError("--copy is for the streams of videos, expected --video-1 FILE")
    if len(games) > 1 and not opportunities:
        raise ConfigError(f"expected one --game, got {len(games)}; several only with --opportunities")


def _network(
    weights: str | None, run: str | None, confidence: float | None, device: str, *, opportunities: bool
) -> "tuple[TrainedNetwork, list[float]]":
    """The network, and the least confidence of a spot for each of its classes."""
    import torch

    from hpo.config.environment import read_environment
    from hpo.spotting.footage import best_confidences
    from hpo.spotting.trials import find_trial, open_validation
    from hpo.spotting.weights import named_network
    from hpo.study.devices import choose_device
    from model.weights.trained import TrainedNetwork

    if (weights is None) == (run is None):
        got = "neither" if weights is None else "both"
        raise ConfigError(f"expected either --weights or --run STUDY/TRIAL, got {got}")
    environment = read_environment()
    if weights is not None:
        trained = named_network(weights, environment)
    else:
        # The game is not scored, so it does not matter whether the test split is still closed.
        trial = find_trial(run or "", "valid", environment)
        trained = TrainedNetwork.load(trial.weights)
        if confidence is None and not opportunities:
            valid = open_validation(trial, trained, environment.cache)
            return trained, best_confidences(trained, valid, torch.device(choose_device(device)))
    return trained, [0.5 if confidence is None else confidence] * len(trained.classes)
