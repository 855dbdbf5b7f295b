"""Functions of ``import hpo``: run and open studies, and spot games."""

from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from inspect import signature
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, ParamSpec, TypeVar

from hpo.api.process import prepare_process
from hpo.api.python_words import python_words

if TYPE_CHECKING:
    from hpo.api.callbacks import Callback
    from hpo.api.launching import Outcome
    from hpo.api.planned import Plan
    from hpo.api.study import Study
    from hpo.config.environment import Environment
    from hpo.report.catalogue_tables import Entry
    from model.weights.trained import TrainedNetwork

PROCEDURE = "paper"
"""Name that runs all stages of the paper."""

Given = ParamSpec("Given")
Result = TypeVar("Result")


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


def _with_options_of(
    model: Callable[Given, Any],
) -> Callable[[Callable[..., Result]], Callable[Given, Result]]:
    """Give a function the arguments of another one, for type checkers and for ``help``."""

    def decorate(function: Callable[..., Result]) -> Callable[Given, Result]:
        @wraps(function)
        def same(*arguments: Given.args, **options: Given.kwargs) -> Result:
            return function(*arguments, **options)

        parameters = signature(model).parameters.values()
        same.__signature__ = signature(function).replace(parameters=list(parameters))  # type: ignore[attr-defined]
        return same

    return decorate


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
    points: "Sequence[Mapping[str, Any]] | str | Path" = (),
    space: "Mapping[str, Any] | None" = None,
    seed: int | None = None,
    device: str = "auto",
    ray_address: str | None = None,
    notify: str | Sequence[str] = (),
    hours: float | None = None,
    until: str | None = None,
    callbacks: "Sequence[Callback]" = (),
    **settings: Any,
) -> "Study":
    """Run a stage to its end and return its study, as the command ``hpo run STAGE`` does.

    The progress is shown meanwhile. Without ``data`` and ``features``, a small synthetic data set is
    generated and used. A search (``bayes``) starts a new study, or adds trials to an existing one.

    Args:
        stage: Stage to run: ``bayes``, ``grid-slicing``, ``final``, ... or one of your own task; ``paper``
            for the paper's whole procedure in a new study.
        data: Folder or URI of the data. Default with ``features``: ``$HPO_DATA``, else ``./data``.
        features: Features to train on. Default: the features of the data, if there is one set.
        study: Name of the study. Default: for a search, a new name; for other stages, the study that changed
            last, or a new name with ``start`` and ``data`` or ``features``.
        study_file: Name or path of the study file. Default: the one that fits the stage and the data.
        trials: Number of configurations that the search tries. Default: from the study file.
        epochs: Epochs per trial. Default: from the study file.
        games: Numbers of training and validation items to use, such as ``(60, 30)``. Default: all.
        labels: Version of SoccerNet's labels, ``v1`` or ``v2``. Default: from the study file or the data.
        skip_missing: Whether to leave out items without features.
        start: Configuration from which a stage after the search starts: ``paper``, a study, a file or an
            MLflow run. Default: the one that the study found.
        warm_start: Study whose scores a new search learns from.
        points: Points that a search tries first, each a table of hyperparameters by symbol, or a file of
            points. Default: from the study file.
        space: New bounds ``(low, high)``, choices ``[...]`` or fixed values of hyperparameters, by symbol.
            Default: from the study file.
        seed: Seed of the study. Default: 0; a study that exists keeps its own.
        device: ``auto``, ``cpu`` or ``cuda``.
        ray_address: Address of the Ray cluster that trains. Default: ``$RAY_ADDRESS``, else this machine.
        hours: Time limit in hours, counted over all sessions. Default: from the study file.
        until: Time at which the study stops, such as ``18:00`` or ``2026-01-31 18:00``, local time.
        notify: Apprise URLs to notify when a stage ends, the study stops, many trials fail or a trial hangs,
            or ``$NAME`` for the environment variable that holds one. Default: from the study file.
        callbacks: Functions that are called after every event; see ``hpo.Callback``.
        settings: Other keys of the stage's table in the study file, such as ``concurrent``, ``searcher``,
            ``scheduler``, ``stop_when``, ``replicates`` or ``seeds``; for ``paper`` also ``final_epochs``.

    Returns:
        The study, whose trials may have failed, or which has trials left if its budget is over.

    Raises:
        UserError: Something is wrong that the caller can fix, or no trial of a stage has a score; the text
            says what.
        KeyboardInterrupt: The study was interrupted; a search continues with the same call, every study with
            ``hpo resume``.
    """
    options = dict(locals())  # before anything else gets a name here
    from hpo.api.launching import Ran
    from hpo.api.study import study_after

    with python_words():
        outcome, environment = _outcome(options, dry_run=False)
        assert isinstance(outcome, Ran)
        return study_after(outcome, environment)


@_with_options_of(run)
def plan(*arguments: Any, **options: Any) -> "Plan":
    """Return what ``run`` would do with the same arguments, with all its checks, and start nothing.

    Data that are not in the cache are copied there. A short training measures how long the run would take.

    Raises:
        UserError: ``run`` would raise it too.
    """
    from hpo.api.launching import Prepared
    from hpo.api.planned import planned

    given = signature(run).bind(*arguments, **options)
    given.apply_defaults()
    with python_words():
        outcome, _ = _outcome(given.arguments, dry_run=True)
        assert isinstance(outcome, Prepared)
        return planned(outcome)


def _outcome(given: Mapping[str, Any], *, dry_run: bool) -> "tuple[Outcome, Environment]":
    """Run a stage or prepare it, with the arguments of ``run`` by name."""
    prepare_process()
    from hpo.api.arguments import (
        bounds_of,
        check_arguments,
        plain_arguments,
        points_of,
        require_main_thread,
    )
    from hpo.api.options import launch_of, options_of
    from hpo.api.tasks import commands_with
    from hpo.config.stages import SEARCH

    given = plain_arguments(given)
    check_arguments(given)
    if not dry_run:
        require_main_thread()
    stage, study, notify = given["stage"], given["study"], given["notify"]
    study_file, start = given["study_file"], given["start"]
    is_single = stage not in (SEARCH, PROCEDURE)
    options = options_of(
        trials=given["trials"],
        data=given["data"],
        study_file=None if study_file is None else str(study_file),
        counts=None if given["games"] is None else tuple(given["games"]),
        epochs=None if is_single else given["epochs"],  # of a stage they belong to it, not to the study
        notify=(notify,) if isinstance(notify, str) else tuple(notify),
        **{
            name: given[name]
            for name in (
                *("features", "labels", "skip_missing", "seed", "device", "ray_address"),
                *("hours", "until"),
            )
        },
    )
    launch = launch_of(commands_with(stage), options, dry_run=dry_run, callbacks=given["callbacks"])
    typed = {"trials": given["trials"], "epochs": given["epochs"], **plain_arguments(given["settings"])}
    if stage == SEARCH:
        points, bounds = points_of(given["points"]), bounds_of(given["space"])
        outcome = launch.search(typed, study, warm_start=given["warm_start"], tried=points, bounds=bounds)
    elif stage == PROCEDURE:
        outcome = launch.start_procedure(typed, study)
    else:
        outcome = launch.run_stage(stage, typed, study, None if start is None else str(start))
    return outcome, launch.environment


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
    from hpo.study.recorded.catalogue import listed

    return listed(read_environment())


def spot(
    weights: "str | Path | TrainedNetwork",
    game: str | Path,
    *,
    features: str | None = None,
    force_features: bool = False,
    nms_window_s: float | None = None,
    device: str = "auto",
) -> list[Spot]:
    """Predict the actions of a game, as ``hpo spot`` does; the most confident ones come first.

    Args:
        weights: Trained network: a file such as ``best.pt`` of a trial, a registered model
            (``models:/NAME/VERSION``), or ``study.network()``.
        game: Folder of the game with its features.
        features: Features to read. Default: those that the network was trained on.
        force_features: Whether to accept features other than those.
        nms_window_s: Width of the suppression window in seconds; only the most confident spot in it is kept.
            Default: that of the score of the network's study, or its widest tolerance, at most 20.
        device: ``auto``, ``cpu`` or ``cuda``.

    Raises:
        UserError: The network or the features cannot be used.
    """
    prepare_process()
    import torch

    from hpo.config.environment import read_environment
    from hpo.spotting.spotted_game import FeatureChoice, spot_game
    from hpo.spotting.weights import named_network
    from hpo.study.devices import choose_device
    from model.data.single_game import find_game
    from model.errors import ConfigError
    from model.weights.trained import TrainedNetwork

    if nms_window_s is not None and not 0.0 < nms_window_s < float("inf"):
        raise ConfigError(f"expected nms_window_s in seconds, a number above 0, got {nms_window_s!r}")
    with python_words():
        if not isinstance(weights, TrainedNetwork):
            weights = named_network(str(weights), read_environment())
        spotted = spot_game(
            weights,
            find_game(Path(game)),
            FeatureChoice(name=features, forced=force_features),
            nms_window_s=nms_window_s,
            device=torch.device(choose_device(device)),
        )
    return [Spot(*found) for found in spotted.listed(weights.classes)]
