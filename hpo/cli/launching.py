"""Start of studies from the options of ``hpo run``."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from hpo.cli.running import ReadingProgress, finish, watch
from hpo.tasks.base.presentation.stage_command import TaskCommands
from model.errors import ConfigError

if TYPE_CHECKING:
    from hpo.config.environment import Environment
    from hpo.space.space import Parameters
    from hpo.study.plan import StageRequest, StudyPlan, StudyRequest


def stage_request(
    name: str,
    options: dict[str, Any],
    *,
    start: "Parameters | None" = None,
    warm_start: str | None = None,
) -> "StageRequest":
    """Return the request for a stage; ``None`` as the value of an option leaves it to the study file."""
    from hpo.study.plan import StageRequest

    return StageRequest(name=name, options=options, start=start or {}, warm_start=warm_start)


@dataclass(frozen=True, slots=True, kw_only=True)
class Typed:
    """Options of ``hpo run`` that describe a study; None if an option was left out."""

    features: str | None
    data: Path | None
    data_uri: str | None
    study_file: str | None
    games: str | None
    epochs: int | None
    seed: int
    device: str
    ray_address: str | None
    dry_run: bool
    labels: str | None
    skip_missing: bool = False


def launch_of(commands: TaskCommands, typed: Typed) -> "Launch":
    """Resolve the typed options; without data and features, use the demo data of ``commands``.

    Raises:
        ConfigError: An option has no valid value, or the study file is of a task without demo data.
    """
    from hpo.config.environment import read_environment
    from hpo.config.study_file import read_study_file
    from hpo.study.plan import StudyRequest
    from hpo.tasks.base.places import chosen_place

    if typed.labels not in (None, "v1", "v2"):
        raise ConfigError(f"expected --labels v1 or v2, got {typed.labels!r}")
    environment = read_environment().on_cluster(typed.ray_address)
    makes_demo = typed.features is None and typed.data is None and typed.data_uri is None
    if makes_demo and typed.study_file:
        task = read_study_file(typed.study_file)[0].get("task")
        if task != commands.task:
            raise ConfigError(f"this command has no demo data for the task {task}", fix="add --data FOLDER")
    if typed.data is None and typed.data_uri is None and not makes_demo and not environment.data.is_dir():
        raise _no_data(typed, environment)
    demo = environment.runs / "data" / f"{commands.demo.folder}-{typed.seed}"
    request = StudyRequest(
        study_file=typed.study_file or (commands.demo.study_file if makes_demo else commands.study_file),
        data=chosen_place(typed.data, typed.data_uri, default=demo if makes_demo else environment.data),
        features=typed.features,
        counts=two_counts(typed.games, "--games"),
        epochs=typed.epochs,
        labels=typed.labels,
        skip_missing=typed.skip_missing,
        seed=typed.seed,
        device=typed.device,
    )

    def make_data() -> None:
        if request.data == str(demo.absolute()):
            with ReadingProgress() as progress:
                commands.demo.make(demo, typed.seed, progress)

    return Launch(
        request=request,
        environment=environment,
        make_data=make_data,
        has_data=not (typed.data is None and typed.data_uri is None),
        has_study_file=typed.study_file is not None,
        dry_run=typed.dry_run,
    )


def _no_data(typed: Typed, environment: "Environment") -> ConfigError:
    return ConfigError(
        f"no data folder: neither --data nor $HPO_DATA is given, and there is no {environment.data}",
        **{
            "fix": "give your games with --data FOLDER, or set HPO_DATA",
            "or": f"hpo data download --features {typed.features} --to data, for SoccerNet",
            "or, to try it": "hpo run bayes alone, which generates synthetic games",
        },
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """A command of ``hpo run`` with its options resolved."""

    request: "StudyRequest"
    """Options of a new study."""
    environment: "Environment"
    make_data: Callable[[], None]
    """Function that generates the demo data if they are used and do not exist yet."""
    has_data: bool
    """Whether ``--data`` or ``--data-uri`` was typed."""
    has_study_file: bool
    """Whether ``--study-file`` was typed."""
    dry_run: bool
    """Whether to print the plan and start nothing."""

    def start(self, stages: "Sequence[StageRequest]", name: str | None) -> None:
        """Run ``stages`` as a new study."""
        self._run(self._new_plan([stage.name for stage in stages]), stages, name)

    def start_from(self, source: str | None, stage: str, options: dict[str, Any], name: str | None) -> None:
        """Run one stage as a new study, from the configuration ``source``, else from the study file's."""
        from hpo.study.starting import starting_configuration

        plan = self._new_plan([stage])
        found = starting_configuration(source, plan, self.environment) if source else None
        self._run(plan, [stage_request(stage, options, start=found)], name)

    def continue_with(
        self, source: str | None, stage: str, options: dict[str, Any], name: str | None
    ) -> None:
        """Run one more stage of study ``name``, by default of the study that changed last."""
        from hpo.journal.journal import read_journal
        from hpo.journal.results import StudyState
        from hpo.study.folders import chosen_study
        from hpo.study.session import continue_study, plan_of
        from hpo.study.starting import starting_configuration

        folder = chosen_study(self.environment, name)
        plan = plan_of(folder, StudyState.replay(read_journal(folder).events).created)
        self._refuse_other_options(plan, folder.name)
        found = starting_configuration(source, plan, self.environment) if source else None
        request = stage_request(stage, options, start=found)
        if self.dry_run:
            _show_plan(plan, [request], self.environment)
            return
        with ReadingProgress() as progress, watch(plan, folder.name, self.environment) as listener:
            end = continue_study(folder.name, [request], self.environment, progress, listener)
        finish(end, plan, folder.name)

    def _refuse_other_options(self, plan: "StudyPlan", name: str) -> None:
        """Refuse options that differ from those with which the study was started."""
        typed, unit = self.request, plan.task.unit
        counts = (plan.train.items, plan.valid.items)
        pairs = (
            ("data {}", typed.data if self.has_data else plan.data, plan.data),
            ("features {}", typed.features or plan.features, plan.features),
            (f"{{0[0]}},{{0[1]}} {unit}", typed.counts or counts, counts),
            ("labels {}", typed.labels or plan.study.labels, plan.study.labels),
            ("seed {}", typed.seed or plan.seed, plan.seed),
            ("device {}", plan.device if typed.device == "auto" else typed.device, plan.device),
        )
        for text, typed_value, kept in pairs:
            if typed_value != kept:
                raise _differs(name, text.format(kept), text.format(typed_value))
        if typed.skip_missing and not plan.study.skips_missing:
            raise _differs(name, f"no {unit} left out", "--skip-missing")
        if self.has_study_file and not _same_settings(typed.study_file, plan):
            raise _differs(name, "other settings", f"those of {typed.study_file}")

    def refuse_unknown_stage(self, stage: str, name: str | None) -> None:
        """Check that the typed study file, else the study to continue, has the stage ``stage``.

        Raises:
            ConfigError: The stage does not exist, or there is neither a study file nor a study.
        """
        from hpo.journal.journal import read_journal
        from hpo.journal.results import StudyState
        from hpo.study.folders import chosen_study, known_studies
        from hpo.study.session import plan_of
        from hpo.tasks.base.registry import load_study

        if self.has_study_file:
            load_study(self.request.study_file).stages.named(stage)
        elif name is None and not known_studies(self.environment):
            raise ConfigError(
                f"there is no command 'hpo run {stage}', and no study with a stage of that name",
                fix="see hpo run --help for the commands; for a stage of your own task add --study or "
                "--study-file",
            )
        else:
            folder = chosen_study(self.environment, name)
            plan_of(folder, StudyState.replay(read_journal(folder).events).created).study.stages.named(stage)

    def is_known(self, name: str | None) -> bool:
        """Whether the study ``name`` exists."""
        from hpo.study.folders import known_studies

        return name is not None and name in known_studies(self.environment)

    def _run(self, plan: "StudyPlan", stages: "Sequence[StageRequest]", name: str | None) -> None:
        from hpo.study.folders import free_name
        from hpo.study.session import start_study

        if self.dry_run:
            _show_plan(plan, stages, self.environment)
            return
        name = name or free_name(self.environment, "-".join(dict.fromkeys(plan.dataset.split("/"))))
        with watch(plan, name, self.environment) as listener:
            end = start_study(plan, name, stages, self.environment, listener)
        finish(end, plan, name)

    def _new_plan(self, stages: Sequence[str]) -> "StudyPlan":
        from hpo.study.plan import make_plan

        self.make_data()
        with ReadingProgress() as progress:
            return make_plan(self.request, self.environment, progress, stages=stages)


def _same_settings(study_file: str, plan: "StudyPlan") -> bool:
    """Whether ``study_file`` has the settings of ``plan``, except for the number of epochs."""
    from hpo.tasks.base.registry import load_study

    ours, theirs = load_study(study_file).model_dump(), plan.study.model_dump()
    ours["training"]["epochs"] = theirs["training"]["epochs"]
    # What the file leaves open may have been typed when the study began.
    for key, value in ours.get("data", {}).items():
        ours["data"][key] = value or theirs["data"][key]
    return ours == theirs


def _differs(name: str, kept: str, typed: str) -> ConfigError:
    return ConfigError(
        f"study {name!r} was started with {kept}, got {typed}",
        fix=f"leave this option out, or start another study with --study NEW --from {name}",
    )


def two_counts(text: str | None, option: str) -> tuple[int, int] | None:
    """Parse the numbers of training and validation items; ``option`` is the option's name, for errors."""
    if text is None:
        return None
    parts = text.split(",")
    if len(parts) != 2 or not all(part.strip().isdigit() and int(part) > 0 for part in parts):
        raise ConfigError(f"expected {option} TRAIN,VALID such as 60,30, got {text!r}")
    return int(parts[0]), int(parts[1])


def _show_plan(plan: "StudyPlan", stages: "Sequence[StageRequest]", environment: "Environment") -> None:
    from hpo.study.outline import outline, plan_text

    typer.echo(plan_text(plan, [outline(plan, stage, environment) for stage in stages]))
