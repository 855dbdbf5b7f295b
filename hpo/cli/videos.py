"""Commands ``hpo data extract`` and ``hpo data labels``: from videos and annotations to a data set."""

import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hpo.api.watching import ReadingProgress
from hpo.cli.networks import Device
from model.errors import ConfigError, DataError
from model.recipe import PUBLISHED_MODEL
from model.shell import shell_line
from model.timeline import MOST_PARTS
from model.wording import counted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from model.features.decoding import Gap
    from model.features.extraction import Extract, Note, Progress
    from model.features.networks import FeatureNetwork


def extract(
    to: Annotated[Path, typer.Option(metavar="FOLDER", help="Data folder to write.")],
    video: Annotated[
        list[Path] | None,
        typer.Option(metavar="FILE", help="Video of a game of one part, which gets its name. Repeatable."),
    ] = None,
    games: Annotated[
        Path | None,
        typer.Option(
            metavar="CSV",
            help="Table of videos with the columns game, part, video and, optionally, split (train, valid, "
            "test).",
        ),
    ] = None,
    model: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="Network of timm, such as vit_small_patch14_dinov2.lvd142m or "
            "vit_base_patch16_siglip_224.webli, or a file of torch.jit.save or torch.export.save.",
        ),
    ] = PUBLISHED_MODEL,
    weights: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Weights of the network. Default: timm's own, from its cache or downloaded.",
        ),
    ] = None,
    fps: Annotated[
        float, typer.Option("--fps", metavar="NUMBER", min=0.001, max=1000, help="Features per second.")
    ] = 2.0,
    dims: Annotated[
        int | None,
        typer.Option(
            metavar="NUMBER",
            min=1,
            help="Reduce the features to this many values by a PCA that is fitted to the training split and "
            "kept in the folder.",
        ),
    ] = None,
    pca: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Use the PCA of another data folder, a file NAME_PCA<dims>.npz in it."
        ),
    ] = None,
    name: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="Stem of the feature files. Default: from the name of the network."
        ),
    ] = None,
    device: Device = "auto",
    ray_address: Annotated[
        str | None,
        typer.Option(
            metavar="auto|HOST:PORT",
            help="Address of a Ray cluster whose nodes extract several videos at once; they see all files at "
            "the same paths. Default: $RAY_ADDRESS, else this machine alone.",
        ),
    ] = None,
) -> None:
    """Extract features from videos.

    Writes a data folder that hpo run reads. After a stop, run the command again to continue.
    """
    from hpo.config.environment import read_environment
    from hpo.report.console import standard_error
    from model.data.layout.description_text import description_document, labels_chosen
    from model.features.extraction import Extraction, extract_games
    from model.features.games import games_of_files, read_games
    from model.features.pca import Pca

    if (video is None or not video) == (games is None):
        raise ConfigError("expected either --video FILE or --games CSV")
    if name is not None and (not name or name.startswith(".") or Path(name).name != name):
        raise ConfigError(f"expected --name as the stem of files, such as RESNET152, got {name!r}")
    listed = read_games(games) if games is not None else games_of_files(video or [])
    given = None if pca is None else Pca.load(pca)
    if given is not None and dims not in (None, len(given.components)):
        raise ConfigError(f"--pca gives {len(given.components)} values, expected no other --dims, got {dims}")
    cluster = read_environment().on_cluster(ray_address).ray_address
    console, started = standard_error(), time.monotonic()

    def note(file: Path, gap: "Gap") -> None:
        console.print(f"note: {file}, {gap}", soft_wrap=True)

    if choice := labels_chosen(to):
        console.print(f"note: {choice}", soft_wrap=True)
    try:
        with (
            ReadingProgress(speed=True) as progress,
            _place(cluster, model, weights, device, to, note, progress) as (network, extract_parts),
        ):
            wanted = Extraction(
                root=to,
                network=network,
                per_second=fps,
                name=name,
                dims=dims if given is None else len(given.components),
                pca=given,
            )
            stem, computed = extract_games(wanted, listed, extract_parts)
    except KeyboardInterrupt:
        typer.echo("stopped; run the same command again to continue", err=True)
        raise typer.Exit(130) from None
    seconds = time.monotonic() - started
    typer.echo(
        f"features {stem} of {counted(len(listed), 'video')} in {to}: {computed:,} frames computed in "
        f"{seconds:.0f} s "
        f"({computed / seconds:.1f} a second)"
    )
    if not description_document(to).keys() & {"classes", "labels"}:
        typer.echo(f"next: {shell_line('hpo', 'data', 'labels', '--from', 'FILE', '--to', to)}")
    elif (to / "train.txt").is_file():
        typer.echo(f"next: {shell_line('hpo', 'run', 'bayes', '--features', stem, '--data', to)}")


@contextmanager
def _place(
    cluster: str | None,
    model: str,
    weights: Path | None,
    wanted: str,
    root: Path,
    note: "Note",
    progress: "Progress",
) -> "Iterator[tuple[FeatureNetwork, Extract]]":
    """Yield the network and what extracts with it: this machine, or the nodes of a cluster."""
    import torch

    from hpo.study.devices import choose_device, resolved_device
    from model.features.extraction import ExtractionHere
    from model.features.networks import load_network

    if cluster is None:
        device = torch.device(choose_device(wanted))
        network = load_network(model, weights, device)
        yield network, ExtractionHere(network, device, note, progress)
        return
    from hpo.schedule.cluster import connected, gpus_of_nodes
    from hpo.schedule.extraction import ExtractionOnCluster, NetworkSource
    from model.features.networks import is_own_file

    network = load_network(model, weights, torch.device("cpu"))
    model = str(Path(model).resolve()) if is_own_file(model) else model
    with connected(cluster):
        used = resolved_device(wanted, has_gpu=any(gpus_of_nodes()), where="the Ray cluster")
        source = NetworkSource(model, weights and weights.resolve(), used)
        yield network, ExtractionOnCluster(root.resolve(), source, note, progress)


def labels(
    source: Annotated[
        list[Path],
        typer.Option(
            "--from",
            metavar="FILE",
            help="Annotations: a table (.csv) with the columns game, part, time (seconds, or 1:15.5) and "
            "label, OSL JSON or a list of E2E-Spot (.json), an ELAN file (.eaf) or subtitles (.srt, .vtt). "
            "Repeatable.",
        ),
    ],
    to: Annotated[Path, typer.Option(metavar="FOLDER", help="Data folder to write.")],
    game: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Game of an ELAN file or of subtitles. Default: the name of the file without its ending.",
        ),
    ] = None,
    part: Annotated[
        int | None,
        typer.Option(
            metavar="NUMBER",
            min=1,
            max=MOST_PARTS,
            help="Part (half) of the game of such a file, by default 1, and of all lines of a table without "
            "the column part.",
        ),
    ] = None,
    split: Annotated[
        str | None,
        typer.Option(metavar="train|valid|test", help="Split whose list gets the games. Default: none."),
    ] = None,
    frame_rate: Annotated[
        float | None,
        typer.Option(
            metavar="NUMBER",
            min=0.01,
            max=1000,
            help="Frames per second of videos for which a .json file has frames and no rate, such as "
            "FineDiving's.",
        ),
    ] = None,
) -> None:
    """Write label files from annotations.

    If lines cannot be used, the command lists them all and writes nothing. Labels of other
    parts are kept; those of the same parts are replaced, and a copy of their file is kept.
    """
    from model.data.labels.annotation_files import different_videos, read_annotations
    from model.data.labels.label_writing import declare_classes, each_once, write_labels
    from model.data.layout.description import SPLITS
    from model.data.layout.description_text import changing, description_document
    from model.data.layout.game_files import stems_below
    from model.data.layout.split_lists import longer_lists

    if game is not None and len(source) > 1:
        raise ConfigError(f"expected one --from FILE with --game, got {len(source)}")
    if split not in (None, *SPLITS):
        raise ConfigError(f"expected --split {', '.join(SPLITS)}, got {split!r}")
    read = [
        (file, read_annotations(file, game=game or file.stem, part=part, frame_rate=frame_rate))
        for file in source
    ]
    every = [(file, annotation) for file, content in read for annotation in content.annotations]
    found = each_once(every)
    empty = [entry for _, content in read for entry in content.empty]
    problems = [problem for _, content in read for problem in content.problems] + different_videos(read)
    if problems:
        raise DataError(f"the annotations have {counted(len(problems), 'problem')}", problems)
    to.mkdir(parents=True, exist_ok=True)
    games = dict.fromkeys([annotation.game for _, annotation in found] + [game for game, _ in empty])
    with changing(to):
        new_folders = [name for name in games if not (to / name).is_dir()]
        is_new = declare_classes(to, [annotation.label for _, annotation in found])
        lists = longer_lists(to, [(game, split or "") for game in games])
        counts, copies = write_labels(to, found, empty)
        for listed, more in lists:
            listed.write_with(more)
    if is_new:
        typer.echo(
            f"every label is a class now: edit [classes] in {to / 'dataset.toml'} to join or name them"
        )
    actions = sum(counts.values())
    typer.echo(f"{counted(actions, 'action')} of {counted(len(counts), 'game')} in {to}")
    if twins := len(every) - len(found):
        typer.echo(f"note: {counted(twins, 'annotation')} with moment and label of another one: written once")
    for copy in copies:
        typer.echo(f"note: it had other annotations of these parts; the file before is kept as {copy}")
    is_described = bool(description_document(to).get("features"))
    if is_described and new_folders:
        typer.echo(
            f"note: {counted(len(new_folders), 'game')} had no folder so far, the first: {new_folders[0]}"
        )
    words = ["check", to] if is_described else ["new", to, "--rate", "NUMBER"]
    if not (is_described or stems_below(to)):
        words += ["--features", "NAME"]
    typer.echo(f"next: {shell_line('hpo', 'data', *words)}")
