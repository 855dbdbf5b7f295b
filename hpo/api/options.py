"""Options that describe a study, and their resolution: data, demo data, study file, environment."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hpo.api.callbacks import Callback
from hpo.api.launching import Launch
from hpo.api.notifying import Channel
from hpo.api.watching import ReadingProgress
from hpo.config.environment import Environment, read_environment
from hpo.config.study_file import read_study_file
from hpo.study.plan import StudyRequest
from hpo.study.running.budget import typed_budget
from hpo.tasks.base.places import chosen_place, is_uri
from hpo.tasks.base.presentation.stage_command import TaskCommands
from hpo.tasks.base.registry import description_named, external_task_code, known_tasks
from model.errors import ConfigError
from model.shell import shell_line


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """Options that describe a study; None if an option was left out."""

    features: str | None = None
    data: Path | None = None
    data_uri: str | None = None
    study_file: str | None = None
    counts: tuple[int, int] | None = None
    """Numbers of training and validation items to use."""
    epochs: int | None = None
    trials: int | None = None
    """Number of configurations that a search tries, for a study file that names none."""
    seed: int | None = None
    device: str = "auto"
    ray_address: str | None = None
    labels: str | None = None
    skip_missing: bool = False
    notify: tuple[str, ...] = ()
    """Addresses for notifications, instead of those of the study file."""
    hours: float | None = None
    """Time limit in hours, counted over all sessions."""
    until: str | None = None
    """Time at which the study stops, such as ``18:00``."""


def options_of(*, data: str | Path | None, **others: Any) -> Options:
    """Return options with ``data``, a folder or a URI, in its place."""
    if data is not None and is_uri(str(data)):
        return Options(data_uri=str(data), **others)
    return Options(data=None if data is None else Path(data), **others)


def launch_of(
    commands: TaskCommands, typed: Options, *, dry_run: bool = False, callbacks: Sequence[Callback] = ()
) -> Launch:
    """Resolve options; without data and features, use the demo data of ``commands``.

    Args:
        commands: Commands of the task.
        typed: Options to resolve.
        dry_run: Whether to prepare only, with all checks, and start nothing.
        callbacks: Called after every event.

    Raises:
        ConfigError: An option has no valid value, or the study file is of a task without demo data.
    """
    budget = typed_budget(typed.hours, typed.until)
    if typed.labels not in (None, "v1", "v2"):
        raise ConfigError(f"expected --labels v1 or v2, got {typed.labels!r}")
    Channel(typed.notify)  # a wrong address is an error before data are read
    environment = read_environment().on_cluster(typed.ray_address)
    has_data = typed.data is not None or typed.data_uri is not None
    makes_demo = typed.features is None and not has_data
    own_folder = _folder_without_data(typed)
    if makes_demo and typed.study_file is not None and own_folder is None:
        task = read_study_file(typed.study_file)[0].get("task")
        if task != commands.task:
            raise ConfigError(f"this command has no demo data for the task {task}", fix="add --data FOLDER")
    lacks_data = not has_data and not makes_demo and not environment.data.is_dir()
    demo = environment.runs / "data" / f"{commands.demo.folder}-{typed.seed or 0}"
    usual = own_folder or (demo if makes_demo else environment.data)
    usual_file = commands.demo.study_file if makes_demo else commands.study_file
    request = StudyRequest(
        study_file=usual_file if typed.study_file is None else typed.study_file,
        data=chosen_place(typed.data, typed.data_uri, default=usual),
        features=typed.features,
        counts=typed.counts,
        epochs=typed.epochs,
        trials=typed.trials,
        labels=typed.labels,
        skip_missing=typed.skip_missing,
        seed=typed.seed,
        device=typed.device,
    )

    def make_data(place: str) -> None:
        if place == str(demo.absolute()):
            with ReadingProgress() as progress:
                commands.demo.make(demo, typed.seed or 0, progress)

    return Launch(
        commands=commands,
        request=request,
        environment=environment,
        make_data=make_data,
        no_data=_no_data(typed, environment) if lacks_data else None,
        has_data=has_data,
        names_data=not makes_demo,
        has_study_file=typed.study_file is not None,
        dry_run=dry_run,
        callbacks=callbacks,
        notify=typed.notify,
        budget=budget,
    )


def _folder_without_data(typed: Options) -> Path | None:
    """Return the folder of the code of a task whose trials open their data themselves; None for others.

    Raises:
        ConfigError: The task does not exist, or data were given to such a task.
    """
    task = None if typed.study_file is None else read_study_file(typed.study_file)[0].get("task")
    if not isinstance(task, str) or task in known_tasks() or description_named(task).reads_data:
        return None
    given = {
        "--data": typed.data,
        "--data-uri": typed.data_uri,
        "--features": typed.features,
        "--games": typed.counts,
    }
    for option in (name for name, value in given.items() if value is not None):
        raise ConfigError(f"the task {task} opens its data itself, got {option}", fix=f"leave {option} out")
    code = external_task_code(task)
    assert code is not None, "no task of this package does without data"
    return code.parent


def _no_data(typed: Options, environment: Environment) -> ConfigError:
    download = shell_line("hpo", "data", "download", "--features", typed.features, "--to", "data")
    return ConfigError(
        f"no data folder: neither --data nor $HPO_DATA is given, and there is no {environment.data}",
        **{
            "fix": "give your games with --data FOLDER, or set HPO_DATA",
            "or": f"{download}, for SoccerNet",
            "or, on synthetic games": "hpo run bayes",
        },
    )
