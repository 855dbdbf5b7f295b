"""Functions of ``import hpo``: run and open studies, and spot games."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from hpo.api.process import prepare_process

if TYPE_CHECKING:
    from hpo.api.callbacks import Callback
    from hpo.api.study import Study
    from hpo.report.catalogue_tables import Entry
    from model.weights.trained import TrainedNetwork


class Spot(NamedTuple):
    """An action that a network has found in a game."""

    half: int
    """Number of the half, from 1."""
    time_s: float
    """Time since the start of the half, in seconds."""
    label: str
    """Class of the action."""
    confidence: float
    """Confidence of the network, in [0, 1]."""


def run(
    stage: str = "bayes",
    *,
    data: str | Path | None = None,
    features: str | None = None,
    study: str | None = None,
    study_file: str | Path | None = None,
    trials: int | None = None,
    epochs: int | None = None,
    games: tuple[int, int] | None = None,
    labels: str | None = None,
    skip_missing: bool = False,
    start: str | Path | None = None,
    warm_start: str | None = None,
    seed: int = 0,
    device: str = "auto",
    ray_address: str | None = None,
    hours: float | None = None,
    until: str | None = None,
    callbacks: "Sequence[Callback]" = (),
    **settings: Any,
) -> "Study":
    """Run a stage to its end and return its study, as the command ``hpo run STAGE`` does.

    The progress is shown meanwhile. Without ``data`` and ``features``, a small synthetic data set is
    generated and used. A search (``bayes``) starts a new study, or adds trials to an existing one.

    Args:
        stage: Stage to run: ``bayes``, ``grid-slicing``, ``final``, ... or one of your own task.
        data: Folder or URI of the data. Default with ``features``: ``$HPO_DATA``, else ``./data``.
        features: Features to train on. Default: the only ones of the data.
        study: Name of the study. Default: for a search, a new name; for other stages, the study that changed
            last.
        study_file: Name or path of the study file. Default: the one that fits the stage and the data.
        trials: Number of configurations that the search tries. Default: from the study file.
        epochs: Epochs per trial. Default: from the study file.
        games: Numbers of training and validation items to use, such as ``(60, 30)``. Default: all.
        labels: Version of SoccerNet's labels, ``v1`` or ``v2``. Default: from the study file or the data.
        skip_missing: Whether to leave out items without features.
        start: Configuration from which a stage after the search starts: ``paper``, a study, a file or an
            MLflow run. Default: the one that the study found.
        warm_start: Study whose scores a new search learns from.
        seed: Seed of the study.
        device: ``auto``, ``cpu`` or ``cuda``.
        ray_address: Address of the Ray cluster that trains. Default: this machine.
        hours: Hours for which the study may run. Default: from the study file.
        until: Time at which the study stops, such as ``18:00`` or ``2026-01-31 18:00``, local time.
        callbacks: Functions that are called after every event; see ``hpo.Callback``.
        settings: Other keys of the stage's table in the study file, such as ``concurrent``, ``searcher``,
            ``scheduler``, ``stop_when``, ``replicates`` or ``seeds``.

    Returns:
        The study, whose trials may have failed, or which has trials left if its budget is over.

    Raises:
        UserError: Something is wrong that the caller can fix; the text says what.
        KeyboardInterrupt: The study was interrupted; a search continues with the same call, every study with
            ``hpo resume``.
    """
    prepare_process()
    from hpo.api.launching import Ran
    from hpo.api.options import launch_of, options_of
    from hpo.api.study import Study
    from hpo.api.tasks import commands_with
    from hpo.config.stages import SEARCH
    from model.errors import ConfigError

    is_search = stage == SEARCH
    if (start if is_search else warm_start) is not None:
        raise ConfigError("expected start with a stage after the search, and warm_start with the search")
    if games is not None and (len(games) != 2 or min(games) < 1):
        raise ConfigError(f"expected games as two numbers above 0, such as (60, 30), got {games!r}")
    options = options_of(
        data=data,
        features=features,
        study_file=None if study_file is None else str(study_file),
        counts=games,
        epochs=epochs if is_search else None,  # of another stage they belong to the stage, not to the study
        labels=labels,
        skip_missing=skip_missing,
        seed=seed,
        device=device,
        ray_address=ray_address,
        hours=hours,
        until=until,
    )
    launch = launch_of(commands_with(stage), options, callbacks=callbacks)
    typed = {"trials": trials, "epochs": epochs, **settings}
    if is_search:
        outcome = launch.search(typed, study, warm_start=warm_start)
    else:
        outcome = launch.run_stage(stage, typed, study, None if start is None else str(start))
    assert isinstance(outcome, Ran)
    if not outcome.end.complete and not outcome.end.state.budget_over:
        raise KeyboardInterrupt
    return Study(outcome.folder, launch.environment)


def open_study(name: str | None = None) -> "Study":
    """Return a study, by default the one that changed last; it may be running.

    Raises:
        UserError: There is no such study.
    """
    from hpo.api.study import Study
    from hpo.config.environment import read_environment
    from hpo.study.folders import chosen_study

    prepare_process()
    environment = read_environment()
    return Study(chosen_study(environment, name), environment)


def list_studies() -> "list[Entry]":
    """Return all studies, starting with the one that changed last, as ``hpo list`` shows them."""
    prepare_process()
    from hpo.config.environment import read_environment
    from hpo.study.catalogue import listed

    return listed(read_environment())


def spot(
    weights: "str | Path | TrainedNetwork",
    game: str | Path,
    *,
    features: str | None = None,
    nms_window_s: float = 20.0,
    device: str = "auto",
) -> list[Spot]:
    """Predict the actions of a game, as ``hpo spot`` does; the most confident ones come first.

    Args:
        weights: Trained network: a file such as ``best.pt`` of a trial, or ``study.network()``.
        game: Folder of the game with its features.
        features: Features to read. Default: those that the network was trained on.
        nms_window_s: Width of the suppression window in seconds; only the most confident spot in it is kept.
        device: ``auto``, ``cpu`` or ``cuda``.

    Raises:
        UserError: The network or the features cannot be used.
    """
    prepare_process()
    import torch

    from hpo.spotting.spotted_game import FeatureChoice, spot_game
    from hpo.study.plan import choose_device
    from model.errors import ConfigError
    from model.weights.trained import TrainedNetwork

    if not 0.0 < nms_window_s < float("inf"):
        raise ConfigError(f"expected nms_window_s in seconds, a number above 0, got {nms_window_s!r}")
    trained = weights if isinstance(weights, TrainedNetwork) else TrainedNetwork.load(Path(weights))
    spotted = spot_game(
        trained,
        Path(game),
        FeatureChoice(name=features),
        nms_window_s=nms_window_s,
        device=torch.device(choose_device(device)),
    )
    return [Spot(*found) for found in spotted.listed(trained.classes)]
