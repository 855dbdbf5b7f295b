"""The command analyse."""

from pathlib import Path
from typing import Annotated

import typer

from hpo.cli.networks import Device, nms_window_s
from hpo.cli.running import ReadingProgress
from model.errors import ConfigError


def analyse(
    to: Annotated[Path, typer.Option(help="Folder for tables (CSV) and figures (PNG and SVG).")],
    weights: Annotated[
        Path | None, typer.Option(help="best.pt of a trial, or what import-weights wrote; or give --run.")
    ] = None,
    run: Annotated[str | None, typer.Option(help="STUDY/TRIAL, or the id of its MLflow run.")] = None,
    data: Annotated[
        Path | None,
        typer.Option(help="Folder of games. Default: that of --run, else $HPO_DATA, else ./data."),
    ] = None,
    split: Annotated[str, typer.Option(help="train, valid or test.")] = "test",
    features: Annotated[
        str | None, typer.Option(help="Features of the data. Default: those of --run, else the only ones.")
    ] = None,
    game: Annotated[
        str | None, typer.Option(help="Game of the timeline, LEAGUE/SEASON/GAME. Default: most actions.")
    ] = None,
    nms_window: Annotated[
        str, typer.Option(metavar="SECONDS", help='Suppression: seconds, or "tolerance".')
    ] = "tolerance",
    device: Device = "auto",
) -> None:
    """Take a network's result on a split apart: by class, game time, vicinity, confidence; with figures."""
    import torch

    from hpo.config.environment import read_environment
    from hpo.report.analysis import results_folder, summary_lines, write_analysis
    from hpo.study.analysing import analyse as analysis_of
    from hpo.study.analysing import find_trial
    from hpo.study.plan import choose_device, chosen_features
    from hpo.tracking.runs import attach_folder
    from model.data.description import SPLITS, read_description
    from model.data.store import open_split
    from model.weights.trained import TrainedNetwork

    if (weights is None) == (run is None):
        raise ConfigError("expected either --weights FILE or --run STUDY/TRIAL")
    if split not in SPLITS:
        raise ConfigError(f"expected --split {', '.join(SPLITS)}, got {split!r}")
    window_s = nms_window_s(nms_window)
    folder = results_folder(to)
    environment, chosen_device = read_environment(), torch.device(choose_device(device))
    if run is not None:
        trial = find_trial(run, split, environment)
        weights, data, features = trial.weights, data or trial.data, features or trial.features
    assert weights is not None
    trained, root = TrainedNetwork.load(weights), data or environment.data
    chosen = chosen_features(read_description(root), features)
    with ReadingProgress() as progress:
        store, valid = (
            open_split(root, features=chosen, split=name, cache=environment.cache)
            for name in (split, "valid")
        )
        analysis = analysis_of(
            trained,
            store,
            valid,
            game=game,
            nms_window_s=window_s,
            device=chosen_device,
            progress=progress,
        )
    files = write_analysis(analysis, folder)
    typer.echo("\n".join([*summary_lines(analysis), f"{len(files)} tables and figures in {to}"]))
    if run is not None:
        attach_folder(environment, run, to, f"analysis-{split}")
