"""``hpo run``: start a study, or continue one with its next stage."""

import inspect
from typing import Annotated, Any

import typer
import typer.core

from hpo.api.tasks import TASKS
from hpo.cli.help_sections import SectionedCommand
from hpo.cli.launching import launch_of, seed_count, show
from hpo.cli.run_options import (
    SEED_COUNT,
    Array,
    Concurrent,
    Data,
    DataUri,
    Device,
    DryRun,
    Epochs,
    Features,
    From,
    Games,
    Hours,
    Labels,
    NewStudy,
    Notify,
    RayAddress,
    Replicates,
    Scheduler,
    Searcher,
    Seed,
    Seeds,
    SkipMissing,
    SpaceOption,
    StopWhen,
    Study,
    StudyFileOption,
    Trials,
    Try,
    Until,
)
from hpo.tasks.base.presentation.stage_command import StageCommand, StageOption, TaskCommands
from hpo.tasks.calf.presentation.commands import COMMANDS as CALF


class StageGroup(typer.core.TyperGroup):
    """Group of commands by stage; any other name is a stage of the user's own task."""

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Return the command of a stage."""
        known = super().get_command(ctx, cmd_name)
        if known is not None or cmd_name.startswith("-"):
            return known
        single = typer.Typer(add_completion=False, rich_markup_mode=None)
        own = StageCommand(stage=cmd_name, help=f"Run the stage {cmd_name} of the study's task.", options=())
        single.command(name=cmd_name, help=own.help)(_stage_function(CALF, own))
        return typer.main.get_command(single)


app = typer.Typer(
    cls=StageGroup, help="Start a study, or continue one with its next stage.", no_args_is_help=True
)


@app.callback()
def _commands() -> None:
    """Start a study, or continue one with its next stage."""


@app.command(cls=SectionedCommand)
def bayes(
    features: Features = None,
    data: Data = None,
    data_uri: DataUri = None,
    study: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Name of the new study, or of one whose search gets more trials (--trials, --space, --try). "
            "Default: a new one, named after the data and the features.",
        ),
    ] = None,
    study_file: StudyFileOption = None,
    trials: Trials = None,
    replicates: Replicates = None,
    epochs: Epochs = None,
    games: Games = None,
    labels: Labels = None,
    skip_missing: SkipMissing = False,
    concurrent: Concurrent = None,
    array: Array = None,
    searcher: Searcher = None,
    scheduler: Scheduler = None,
    stop_when: StopWhen = None,
    hours: Hours = None,
    until: Until = None,
    warm_start: Annotated[
        str | None,
        typer.Option(
            metavar="STUDY",
            help="Study with the same space; the search learns from the scores of its search. If its data, "
            "features, epochs, scoring, fixed settings or code differ, the scores are used as a prior, which "
            "loses weight if the new scores disagree.",
        ),
    ] = None,
    try_file: Try = None,
    space: SpaceOption = None,
    seed: Seed = None,
    device: Device = "auto",
    ray_address: RayAddress = None,
    notify: Notify = None,
    dry_run: DryRun = False,
) -> None:
    """Search all hyperparameters together.

    Bayesian optimisation searches the space of the study file. In the study file calf the
    hyperparameters are f, r_s, alpha2, beta and lambda_seg. Without --features and --data, the
    command generates a small synthetic data set and searches on it.
    """
    from hpo.config.point_file import read_points  # keeps torch and ray out of --help

    launch = launch_of(
        CALF,
        features=features,
        data=data,
        data_uri=data_uri,
        study_file=study_file,
        games=games,
        labels=labels,
        skip_missing=skip_missing,
        epochs=epochs,
        trials=trials,
        seed=seed,
        device=device,
        ray_address=ray_address,
        notify=notify,
        dry_run=dry_run,
        hours=hours,
        until=until,
    )
    options = {
        "trials": trials,
        "replicates": replicates,
        "searcher": searcher,
        "scheduler": scheduler,
        "stop_when": stop_when,
        "epochs": epochs,
        "concurrent": concurrent,
        "array": array,
    }
    show(
        launch.search(
            options,
            study,
            warm_start=warm_start,
            tried=read_points(try_file) if try_file else None,
            bounds=space or (),
        )
    )


@app.command(cls=SectionedCommand)
def paper(
    features: Features = None,
    data: Data = None,
    data_uri: DataUri = None,
    study: NewStudy = None,
    study_file: StudyFileOption = None,
    trials: Trials = None,
    epochs: Epochs = None,
    games: Games = None,
    labels: Labels = None,
    skip_missing: SkipMissing = False,
    concurrent: Concurrent = None,
    array: Array = None,
    searcher: Searcher = None,
    scheduler: Scheduler = None,
    stop_when: StopWhen = None,
    hours: Hours = None,
    until: Until = None,
    seeds: Seeds = None,
    final_epochs: Annotated[
        int | None,
        typer.Option(
            metavar="NUMBER",
            min=1,
            help="Epochs per trial of the final. Default: from the study file's table of the final, else as "
            "the other stages.",
        ),
    ] = None,
    seed: Seed = None,
    device: Device = "auto",
    ray_address: RayAddress = None,
    notify: Notify = None,
    dry_run: DryRun = False,
) -> None:
    """Run the paper's whole procedure.

    One study runs the stages bayes, grid-slicing and final. The search is that of the paper, by bayes-opt and
    without a scheduler, unless --searcher or --scheduler select others.
    """
    launch = launch_of(
        CALF,
        features=features,
        data=data,
        data_uri=data_uri,
        study_file=study_file,
        games=games,
        labels=labels,
        skip_missing=skip_missing,
        epochs=epochs,
        trials=trials,
        seed=seed,
        device=device,
        ray_address=ray_address,
        notify=notify,
        dry_run=dry_run,
        hours=hours,
        until=until,
    )
    options = {
        "trials": trials,
        "epochs": epochs,
        "concurrent": concurrent,
        "array": array,
        "searcher": searcher,
        "scheduler": scheduler,
        "stop_when": stop_when,
        "seeds": seed_count(seeds),
        "final_epochs": final_epochs,
    }
    show(launch.start_procedure(options, study))


def _add_stages(commands: TaskCommands) -> None:
    """Add a command for every stage of a task."""
    for command in commands.stages:
        app.command(name=command.stage, help=command.help, cls=SectionedCommand)(
            _stage_function(commands, command)
        )


def _stage_function(commands: TaskCommands, command: StageCommand) -> Any:
    """Return the function of a stage's command, with its own options and those of all stages."""

    def run(study: str | None, start: str | None, **values: Any) -> None:
        settings = {option.key: _setting(option, values.pop(option.key)) for option in command.options}
        settings |= {key: values.pop(key) for key in ("epochs", "concurrent", "array")}
        # The epochs belong to the stage here, not to the study.
        launch = launch_of(commands, **values)
        show(launch.run_stage(command.stage, settings, study, start))

    parameters: dict[str, Any] = {
        "study": Study,
        "start": From,
        **{option.key: _annotation(option) for option in command.options},
        "epochs": Epochs,
        "concurrent": Concurrent,
        "array": Array,
        "hours": Hours,
        "until": Until,
        "features": Features,
        "data": Data,
        "data_uri": DataUri,
        "study_file": StudyFileOption,
        "games": Games,
        "labels": Labels,
        "skip_missing": SkipMissing,
        "seed": Seed,
        "device": Device,
        "ray_address": RayAddress,
        "notify": Notify,
        "dry_run": DryRun,
    }
    defaults = {"device": "auto", "dry_run": False, "skip_missing": False}
    # Typer reads the options of a command from its signature.
    run.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [
            inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=defaults.get(name), annotation=of)
            for name, of in parameters.items()
        ]
    )
    run.__annotations__ = {**parameters, "return": None}
    return run


def _annotation(option: StageOption) -> Any:
    name = f"--{option.name or option.key}"
    if option.kind == "count":
        return Annotated[int | None, typer.Option(name, metavar="NUMBER", min=option.least, help=option.help)]
    metavar = SEED_COUNT if option.kind == "seeds" else "NAME"
    return Annotated[str | None, typer.Option(name, metavar=metavar, help=option.help)]


def _setting(option: StageOption, value: Any) -> Any:
    if option.kind == "seeds":
        return seed_count(value)
    return [value] if option.kind == "texts" and value is not None else value


for _task in TASKS:
    _add_stages(_task)
