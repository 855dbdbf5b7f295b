"""Commands for trained networks: import-weights, evaluate and spot."""

import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hpo.api.watching import ReadingProgress
from model.errors import ConfigError, DataError, Problem
from model.files import write_new
from model.wording import counted

if TYPE_CHECKING:
    from collections.abc import Mapping

    import torch

    from model.data.single_game import GameFolder
    from model.features.games import GameVideo
    from model.weights.trained import TrainedNetwork

_NETWORK = (
    "Trained network: best.pt of a trial, a file that import-weights wrote, or a registered model "
    "(models:/NAME/VERSION, models:/NAME@ALIAS)."
)
Weights = Annotated[str, typer.Option(metavar="FILE|MODEL", help=_NETWORK)]
WeightsOrRun = Annotated[
    str | None, typer.Option("--weights", metavar="FILE|MODEL", help=f"{_NETWORK} Alternative to --run.")
]
Device = Annotated[str, typer.Option(metavar="auto|cpu|cuda", help="Device to compute on.")]
Features = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="Features: resnet, c3d, i3d, or the stem of feature files. Default: those that the network was "
        "trained on, else the only ones that fit.",
    ),
]
ModelWeights = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="With a video: weights of the network that extracts features, or its own file. Default: timm's "
        "own weights.",
    ),
]
PcaFile = Annotated[
    Path | None,
    typer.Option(
        "--pca",
        metavar="FILE",
        help="With a video: PCA of the training's features, the .npz file in its data folder.",
    ),
]
ForceFeatures = Annotated[
    bool,
    typer.Option(
        "--force-features", help="Accept --features other than those that the network was trained on."
    ),
]


def import_weights(
    file: Annotated[
        Path,
        typer.Argument(metavar="FILE", help="Keras file (.h5) of the original code, or PyTorch checkpoint."),
    ],
    to: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="File to write. Default: the name of the given file with the ending .pt in the current "
            "folder. A file with other content is not replaced.",
        ),
    ] = None,
    classes: Annotated[
        str | None,
        typer.Option(
            metavar="NAME,...",
            help="Names of the classes, in the order of the network's outputs. Default: the published ones.",
        ),
    ] = None,
) -> None:
    """Convert the weights of a published network.

    The command checks the weights and writes them in this project's format.
    """
    from hpo.spotting.scores import network_lines
    from model.weights.importing import import_published

    target = to or Path(f"{file.stem}.pt")
    names = None if classes is None else [name.strip() for name in classes.split(",")]
    trained = import_published(file, names)
    _save_new(trained, target)
    typer.echo("\n".join([*network_lines(trained), f"written to {target}"]))


def _save_new(trained: "TrainedNetwork", target: Path) -> None:
    """Save a network to a file that does not exist, or already is this network.

    Raises:
        StorageError: The file has other content.
    """
    with tempfile.TemporaryDirectory() as folder:
        trained.save(Path(folder, target.name))
        content = Path(folder, target.name).read_bytes()
    target.parent.mkdir(parents=True, exist_ok=True)
    write_new(
        target,
        content,
        refusal="the file exists with other content and is not replaced",
        fix="add --to FILE with another name, or move the file away",
    )


def evaluate(
    weights: Weights,
    data: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Data folder. Default: $HPO_DATA, else ./data.")
    ] = None,
    split: Annotated[str, typer.Option(metavar="train|valid|test", help="Split to score.")] = "test",
    features: Features = None,
    force_features: ForceFeatures = False,
    nms_window: Annotated[
        str | None,
        typer.Option(
            metavar="SECONDS",
            help='Width of the suppression window in seconds (code of 2021: 20), or "tolerance" (2020). '
            "Default: that of the score of the network's study.",
        ),
    ] = None,
    device: Device = "auto",
    as_json: Annotated[bool, typer.Option("--json", help="Print the scores as JSON.")] = False,
) -> None:
    """Score a trained network on a split.

    Prints Average-mAP by class, loose (tolerances of 5 to 60 s) and tight (1 to 5 s), and with the tolerances
    of the network's study if it has others. The network runs in float32, so that a study that trained in
    bfloat16 has slightly other scores.
    """
    import torch

    from hpo.config.environment import read_environment
    from hpo.report.console import print_table
    from hpo.spotting.scores import absent_line, class_table, score_record, scored_tolerances, tolerance_table
    from hpo.spotting.weights import named_network
    from hpo.study.devices import choose_device
    from hpo.tasks.calf.data import open_for
    from model.data.layout.description import SPLITS
    from model.inference.evaluation import find_spots
    from model.metrics.average_map import score_spots

    if split not in SPLITS:
        raise ConfigError(f"expected --split {', '.join(SPLITS)}, got {split!r}")
    typed_window_s = nms_window_s(nms_window)
    environment = read_environment()
    trained = named_network(weights, environment)
    window_s = trained.nms_window_s if nms_window is None else typed_window_s
    chosen_device = torch.device(choose_device(device))
    with ReadingProgress() as progress:
        store = open_for(
            trained,
            str(data or environment.data),
            environment.cache,
            split,
            features=features,
            force_features=force_features,
            progress=progress,
        )
    spots = find_spots(trained.network.to(chosen_device), store, precision="float32", device=chosen_device)
    scores = {
        name: score_spots(
            spots,
            store.actions,
            classes=len(store.classes),
            frame_rate=store.frame_rate,
            nms_window_s=window_s,
            tolerances_s=tolerances_s,
        )
        for name, tolerances_s in scored_tolerances(trained).items()
    }
    if as_json:
        typer.echo(json.dumps(score_record(scores, store, nms_window_s=window_s), indent=2))
        return
    suppressed = "" if window_s is None else f", suppression {window_s:g} s wide"
    games = counted(len(store.games), "game")
    typer.echo(f"Average-mAP on {games} of the {split} split, in float32{suppressed}")
    if remark := absent_line(store):
        typer.echo(remark)
    print_table(class_table(scores, store))
    typer.echo("\nmAP by tolerance")
    print_table(tolerance_table(scores, store))


def refuse_extraction_options(model_weights: Path | None, pca: Path | None) -> None:
    """Refuse options of an extraction beside ``--game``, whose features are extracted.

    Raises:
        ConfigError: One is given.
    """
    for option, file in (("--model-weights", model_weights), ("--pca", pca)):
        if file is not None:
            raise ConfigError(
                f"expected {option} only for features of videos, got --game", fix=f"leave {option} out"
            )


def spot(
    weights: Weights,
    game: Annotated[
        list[Path] | None,
        typer.Option(metavar="FOLDER", help="Folder of a game with its features. Repeatable."),
    ] = None,
    video: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FILE",
            help="Video of a game that has one part. Its features are extracted like the training features "
            "and kept next to the spots. Repeatable.",
        ),
    ] = None,
    model_weights: ModelWeights = None,
    pca: PcaFile = None,
    to: Annotated[
        Path,
        typer.Option(
            metavar="FOLDER",
            help="Folder to write the spots to. The file of a game lies under the path of the game below its "
            "dataset.toml, else under <league>/<season>/<game> if its folder lies in a season, else under "
            "the name of its folder; that of a video under its name.",
        ),
    ] = Path("spots"),
    features: Features = None,
    force_features: ForceFeatures = False,
    nms_window: Annotated[
        str | None,
        typer.Option(
            metavar="SECONDS",
            help="Width of the suppression window in seconds; only the most confident spot in a window is "
            "kept. Default: that of the score of the network's study, or its widest tolerance, at most 20.",
        ),
    ] = None,
    device: Device = "auto",
) -> None:
    """Predict the actions of games, from their features or from their videos.

    The spots are written in the format of SoccerNet's evaluator.
    """
    import torch

    from hpo.config.environment import read_environment
    from hpo.spotting.spotted_game import FeatureChoice, spot_game
    from hpo.spotting.weights import named_network
    from hpo.study.devices import choose_device
    from model.data.single_game import find_game
    from model.features.games import games_of_files
    from model.inference.spots_file import label_texts, write_spots

    window_s = None if nms_window is None else _seconds(nms_window)
    if bool(game) == bool(video):
        raise ConfigError(
            f"expected either --game FOLDER or --video FILE, got {'both' if game else 'neither'}"
        )
    if game:
        refuse_extraction_options(model_weights, pca)
    trained = named_network(weights, read_environment())
    chosen_device = torch.device(choose_device(device))
    choice = FeatureChoice(name=features, forced=force_features)
    games = [find_game(folder) for folder in game or []] or features_of_videos(
        trained, games_of_files(video or []), to, model_weights=model_weights, pca=pca, device=chosen_device
    )
    _refuse_equal_names(games)
    errors: dict[str, DataError] = {}
    for each in games:
        try:
            spotted = spot_game(trained, each, choice, nms_window_s=window_s, device=chosen_device)
        except DataError as error:
            errors[each.name] = error
            continue
        file = write_spots(
            to,
            spotted.numbered,
            game=spotted.game,
            labels=trained.label_texts or label_texts(trained.classes),
            frame_rate=trained.frame_rate,
        )
        halves = [half.number for half in spotted.store.halves]
        only = "" if halves == [1, 2] else f" (the game has half {', '.join(map(str, halves))})"
        typer.echo(f"{counted(len(spotted.spots), 'spot')} in {file}{only}")
    _raise_all(errors)


def _raise_all(errors: "Mapping[str, DataError]") -> None:
    """Raise the errors of games as one, if there are any.

    Raises:
        DataError: There are.
    """
    if len(errors) == 1:
        raise next(iter(errors.values()))
    if errors:
        problems = [Problem(name, "", error.message) for name, error in errors.items()]
        raise DataError(f"{len(errors)} games cannot be spotted", problems)


def features_of_videos(
    trained: "TrainedNetwork",
    games: "list[GameVideo]",
    to: Path,
    *,
    model_weights: Path | None,
    pca: Path | None,
    device: "torch.device",
) -> "list[GameFolder]":
    """Extract the features of videos as those of the training were; return the folders of the games.

    Raises:
        UserError: A video cannot be used, or the recipe of the training is unknown or another.
    """
    from hpo.report.console import standard_error
    from hpo.spotting.videos import RecipeFiles, extract_for

    console = standard_error()
    try:
        with ReadingProgress(speed=True) as progress:
            return extract_for(
                trained,
                games,
                to,
                RecipeFiles(model=model_weights, pca=pca),
                device=device,
                note=lambda file, gap: console.print(f"note: {file}, {gap}", soft_wrap=True),
                progress=progress,
            )
    except KeyboardInterrupt:
        typer.echo("stopped; run the same command again to continue", err=True)
        raise typer.Exit(130) from None


def _refuse_equal_names(games: "list[GameFolder]") -> None:
    if len({game.path.resolve() for game in games}) < len(games):
        raise ConfigError("a folder is given twice with --game", fix="name each game once")
    named: dict[str, GameFolder] = {}
    for game in games:
        other = named.setdefault(game.name, game)
        if other is not game:
            raise ConfigError(
                f"two games have the name {game.name}, so that one would replace the other",
                games=f"{other.path} and {game.path}",
                fix="spot them one after the other, each with another --to FOLDER",
            )


def nms_window_s(text: str | None) -> float | None:
    """Parse ``--nms-window``: seconds, or None for ``tolerance`` or no text.

    Raises:
        ConfigError: The text is neither.
    """
    return None if text in (None, "tolerance") else _seconds(text, ', or "tolerance"')


def _seconds(text: str, other: str = "") -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0.0 < seconds < float("inf"):
        raise ConfigError(f"expected --nms-window in seconds, a number above 0{other}, got {text!r}")
    return seconds
