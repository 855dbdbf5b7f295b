"""Options of ``hpo run`` as typed, and what the command prints at its end."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from hpo.cli.running import finish
from hpo.tasks.base.presentation.stage_command import TaskCommands
from model.errors import ConfigError

if TYPE_CHECKING:
    from hpo.api.launching import Launch, Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class Typed:
    """Options of ``hpo run`` that describe a study; None if an option was left out."""

    features: str | None
    data: Path | None
    data_uri: str | None
    study_file: str | None
    games: str | None
    epochs: int | None
    seed: int | None
    device: str
    ray_address: str | None
    dry_run: bool
    labels: str | None
    skip_missing: bool = False
    notify: list[str] | None = None
    hours: float | None = None
    until: str | None = None


def launch_of(commands: TaskCommands, typed: Typed) -> "Launch":
    """Resolve the typed options; without data and features, use the demo data of ``commands``.

    Raises:
        ConfigError: An option has no valid value, or the study file is of a task without demo data.
    """
    from hpo.api import options  # torch takes a second to import

    described = options.Options(
        features=typed.features,
        data=typed.data,
        data_uri=typed.data_uri,
        study_file=typed.study_file,
        counts=two_counts(typed.games, "--games or --videos"),
        epochs=typed.epochs,
        labels=typed.labels,
        skip_missing=typed.skip_missing,
        seed=typed.seed,
        device=typed.device,
        ray_address=typed.ray_address,
        notify=tuple(typed.notify or ()),
        hours=typed.hours,
        until=typed.until,
    )
    return options.launch_of(commands, described, dry_run=typed.dry_run)


def show(outcome: "Outcome") -> None:
    """Print the results and the next commands of a study that ran, or the plan of a dry run."""
    from hpo.api.launching import Ran
    from hpo.api.planned import planned

    if isinstance(outcome, Ran):
        finish(outcome.end, outcome.plan, outcome.folder, outcome.cluster)
        return
    typer.echo(str(planned(outcome)))


def two_counts(text: str | None, option: str) -> tuple[int, int] | None:
    """Parse the numbers of training and validation items; ``option`` is the option's name, for errors."""
    if text is None:
        return None
    parts = text.split(",")
    if len(parts) != 2 or not all(part.strip().isdecimal() and int(part) > 0 for part in parts):
        raise ConfigError(f"expected {option} TRAIN,VALID such as 60,30, got {text!r}")
    return int(parts[0]), int(parts[1])
