"""Command ``hpo analyse``."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypedDict

import typer

from hpo.api.watching import ReadingProgress
from hpo.cli.networks import Device, Features, ForceFeatures, WeightsOrRun, nms_window_s
from model.errors import ConfigError

if TYPE_CHECKING:
    import torch

    from hpo.config.environment import Environment
    from hpo.spotting.trials import NamedTrial
    from hpo.tasks.base.splits import Progress
    from model.data.stores.store import Store
    from model.weights.trained import TrainedNetwork


def analyse(
    to: Annotated[
        Path,
        typer.Option(metavar="FOLDER", help="Folder to write tables (CSV) and figures (PNG and SVG) to."),
    ],
    weights: WeightsOrRun = None,
    run: Annotated[
        list[str] | None,
        typer.Option(
            metavar="RUN",
            help="Trial that trained the network: STUDY/TRIAL, or the id of its MLflow run. Repeatable. For "
            "several trials, or for all of a stage (STUDY/STAGE), only the timeline of one game is drawn.",
        ),
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER", help="Data folder. Default: that of --run, else $HPO_DATA, else ./data."
        ),
    ] = None,
    split: Annotated[str, typer.Option(metavar="train|valid|test", help="Split to analyse.")] = "test",
    features: Features = None,
    force_features: ForceFeatures = False,
    game: Annotated[
        str | None,
        typer.Option(
            metavar="LEAGUE/SEASON/GAME",
            help="Game whose timeline is drawn. Default: the game with the most actions.",
        ),
    ] = None,
    nms_window: Annotated[
        str | None,
        typer.Option(
            metavar="SECONDS",
            help='Width of the suppression window in seconds, or "tolerance". Default: that of the score of '
            "the network's study.",
        ),
    ] = None,
    device: Device = "auto",
) -> None:
    """Analyse the results of a network on a split.

    Tables and figures show them by class, game time, distance to other actions and confidence. With several
    trials, or with a stage, draw the predictions of all networks for one game, one figure per class.
    """
    import torch

    from hpo.config.environment import read_environment
    from hpo.spotting.analysis_files import results_folder
    from hpo.spotting.trials import find_trial, trials_of_stage
    from hpo.study.devices import choose_device
    from model.data.layout.description import SPLITS

    if (weights is None) == (not run):
        got = "neither" if weights is None else "both"
        raise ConfigError(f"expected either --weights or --run STUDY/TRIAL, got {got}")
    if split not in SPLITS:
        raise ConfigError(f"expected --split {', '.join(SPLITS)}, got {split!r}")
    environment = read_environment()
    names = [name for each in run or () for name in trials_of_stage(each, environment)]
    if run and not names:
        raise ConfigError(f"no trial of {', '.join(run)} has a network yet")
    trials = [find_trial(name, split, environment) for name in dict.fromkeys(names)]
    options: _Options = {
        "data": data,
        "features": features,
        "force_features": force_features,
        "split": split,
        "game": game,
        "has_nms_window": nms_window is not None,
        "nms_window_s": nms_window_s(nms_window),
        "device": torch.device(choose_device(device)),
    }
    folder = results_folder(to)
    if len(trials) > 1:
        _draw_networks(trials, folder, environment, options)
    else:
        _analyse_one(weights, trials, folder, environment, options)


class _Options(TypedDict):
    data: Path | None
    features: str | None
    force_features: bool
    split: str
    game: str | None
    has_nms_window: bool
    """Whether the width of the suppression was given; else it is that of the study."""
    nms_window_s: float | None
    device: "torch.device"


def _window_s(options: _Options, study: "NamedTrial | TrainedNetwork") -> float | None:
    """Return the width of the suppression in seconds; None: that of each tolerance."""
    return options["nms_window_s"] if options["has_nms_window"] else study.nms_window_s


def _analyse_one(
    weights: str | None,
    trials: "Sequence[NamedTrial]",
    folder: Path,
    environment: "Environment",
    options: _Options,
) -> None:
    """Analyse the network in ``weights``, or that of the only trial."""
    from hpo.spotting.analysis import analyse as analysis_of
    from hpo.spotting.analysis_files import summary_lines, write_analysis
    from hpo.spotting.weights import named_network

    trained = named_network(weights or str(trials[0].weights), environment)
    # Networks of older versions do not contain the score of their study.
    study = trials[0] if trials else trained
    with ReadingProgress() as progress:
        store, valid = (
            _open(name, trained, trials, environment, options, progress)
            for name in (options["split"], "valid")
        )
        analysis = analysis_of(
            trained,
            store,
            valid,
            game=options["game"],
            nms_window_s=_window_s(options, study),
            tolerances_s=study.tolerances_s,
            device=options["device"],
            progress=progress,
        )
    files = write_analysis(analysis, folder)
    typer.echo("\n".join([*summary_lines(analysis), f"{len(files)} tables and figures in {folder}"]))
    _store(files, "analysis", trained, trials, environment, options)


def _draw_networks(
    trials: "Sequence[NamedTrial]", folder: Path, environment: "Environment", options: _Options
) -> None:
    """Draw the timeline of one game by every trial's network, and record it with each trial."""
    from hpo.spotting.timelines import game_timelines, write_timelines
    from model.weights.trained import TrainedNetwork

    first = TrainedNetwork.load(trials[0].weights)
    with ReadingProgress() as progress:
        timelines = game_timelines(
            trials,
            _open(options["split"], first, trials, environment, options, progress),
            game=options["game"],
            nms_window_s=_window_s(options, trials[0]),
            device=options["device"],
            progress=progress,
        )
    files = write_timelines(timelines, folder)
    typer.echo(f"{len(files)} figures of {len(timelines)} networks in {folder}")
    _store(files, "networks", first, trials, environment, options)


def _store(
    files: "Sequence[Path]",
    kind: str,
    trained: "TrainedNetwork",
    trials: "Sequence[NamedTrial]",
    environment: "Environment",
    options: _Options,
) -> None:
    """Record files with the trials to whose data they belong; ``trained`` is a network that fits them."""
    from hpo.spotting.trials import has_data_of
    from hpo.tracking.runs import attach_files

    place, features = _place(trials, environment, options)
    for trial in trials:
        if has_data_of(
            trial,
            trained,
            place,
            environment.cache,
            features=features,
            force_features=options["force_features"],
        ):
            attach_files(environment, trial.identity, trial.trial, files, f"{kind}-{options['split']}")
        else:
            typer.echo(
                f"not stored in MLflow: the data in {place} are not those of {trial.study}/{trial.trial}",
                err=True,
            )


def _place(
    trials: "Sequence[NamedTrial]", environment: "Environment", options: _Options
) -> tuple[str, str | None]:
    """Return place and features of the data that were named, else of the first trial's data."""
    default, features = str(environment.data), options["features"]
    for trial in trials[:1]:
        default, features = trial.data, features or trial.features
    return str(options["data"] or default), features


def _open(
    split: str,
    trained: "TrainedNetwork",
    trials: "Sequence[NamedTrial]",
    environment: "Environment",
    options: _Options,
    progress: "Progress",
) -> "Store":
    """Open a split of the data folder that was named, else of the games of the first trial's study."""
    from hpo.tasks.calf.data import open_for

    is_own = trials and not options["data"]
    place, features = _place(trials, environment, options)
    return open_for(
        trained,
        place,
        environment.cache,
        split,
        features=features,
        force_features=options["force_features"],
        count=trials[0].games.get(split) if is_own else None,
        progress=progress,
    )
