"""Options of ``hpo run`` as typed, and what the command prints at its end."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import typer

from hpo.cli.running import finish
from hpo.tasks.base.presentation.stage_command import TaskCommands
from model.errors import ConfigError

if TYPE_CHECKING:
    from hpo.api.launching import Launch, Outcome


def launch_of(
    commands: TaskCommands,
    *,
    games: str | None = None,
    notify: Sequence[str] | None = None,
    dry_run: bool,
    **described: Any,
) -> "Launch":
    """Resolve typed options; without data and features, use the demo data of ``commands``.

    Args:
        commands: Commands of the task.
        games: Numbers of training and validation items as typed.
        notify: Addresses for notifications.
        dry_run: Whether to prepare only, with all checks, and start nothing.
        described: Other fields of ``hpo.api.options.Options``.

    Raises:
        ConfigError: An option has no valid value, or the study file is of a task without demo data.
    """
    from hpo.api import options  # torch takes a second to import

    counts = two_counts(games, "--games or --videos")
    typed = options.Options(counts=counts, notify=tuple(notify or ()), **described)
    return options.launch_of(commands, typed, dry_run=dry_run)


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


def seed_count(text: str | None) -> int | str | None:
    """Parse the number of seeds of a final, which may be ``until decided``.

    Raises:
        ConfigError: The text is neither that nor a whole number above 1.
    """
    if text is None or text == "until decided":
        return text
    if not text.isdecimal() or int(text) < 2:
        raise ConfigError(f'expected --seeds "until decided" or a whole number above 1, got {text!r}')
    return int(text)
