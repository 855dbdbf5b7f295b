"""Start of studies from the options of ``hpo run``."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from hpo.cli.running import ReadingProgress, finish, watch
from hpo.tasks.base.places import is_uri
from hpo.tasks.base.presentation.stage_command import TaskCommands
from model.errors import ConfigError
from model.shell import shell_line

if TYPE_CHECKING:
    from hpo.config.environment import Environment
    from hpo.space.space import Parameters
    from hpo.study.plan import StageRequest, StudyPlan, StudyRequest
    from hpo.study.point_file import TypedPoints
    from hpo.study.preparing import PreparedStage


def stage_request(
    name: str,
    options: dict[str, Any],
    *,
    table: "Mapping[str, Any] | None" = None,
    start: "Parameters | None" = None,
    warm_start: str | None = None,
    tried: "TypedPoints | None" = None,
    bounds: "Sequence[str]" = (),
) -> "StageRequest":
    """Return the request for a stage; ``None`` as the value of an option leaves it to the study file."""
    from hpo.study.plan import StageRequest

    return StageRequest(
        name=name,
        options=options,
        table=table,
        start=start or {},
        warm_start=warm_start,
        tried=tried,
        bounds=bounds,
    )


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
        names_data=not makes_demo,
        has_study_file=typed.study_file is not None,
        dry_run=typed.dry_run,
    )


def _no_data(typed: Typed, environment: "Environment") -> ConfigError:
    download = shell_line("hpo", "data", "download", "--features", typed.features, "--to", "data")
    return ConfigError(
        f"no data folder: neither --data nor $HPO_DATA is given, and there is no {environment.data}",
        **{
            "fix": "give your games with --data FOLDER, or set HPO_DATA",
            "or": f"{download}, for SoccerNet",
            "or, on synthetic games": "hpo run bayes",
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
    names_data: bool
    """Whether ``--data``, ``--data-uri`` or ``--features`` was typed."""
    has_study_file: bool
    """Whether ``--study-file`` was typed."""
    dry_run: bool
    """Whether to print the plan and start nothing."""

    def start(self, stages: "Sequence[StageRequest]", name: str | None) -> None:
        """Run ``stages`` as a new study."""
        self._run(self._new_plan(self.request, [stage.name for stage in stages]), stages, name)

    def start_from(self, source: str | None, stage: str, options: dict[str, Any], name: str | None) -> None:
        """Run one stage as a new study, from the configuration ``source``, else from the study file's."""
        from hpo.study.starting import starting_configuration

        plan = self._new_plan(self._request_from(source), [stage])
        found = starting_configuration(source, plan, self.environment) if source else None
        self._run(plan, [stage_request(stage, options, start=found)], name)

    def continue_with(
        self, source: str | None, stage: str, options: dict[str, Any], name: str | None
    ) -> None:
        """Run one more stage of study ``name``, by default of the study that changed last."""
        from hpo.study.folders import known_studies
        from hpo.study.session import continue_study, preview_continuation
        from hpo.study.starting import starting_configuration

        if name is None and not known_studies(self.environment) and self.names_data:
            raise self._nothing_to_continue(stage)
        folder, plan = self._known_plan(name)
        self._refuse_other_options(plan, folder.name, stage)
        found = starting_configuration(source, plan, self.environment) if source else None
        table = self._table_for(plan, folder.name, stage)
        request = stage_request(stage, options, table=table, start=found)
        with ReadingProgress() as progress:
            if self.dry_run:
                prepared = preview_continuation(
                    folder.name, [request], self.environment, progress, data=self._moved_to
                )
                _show_plan(plan, folder.name, prepared, self.environment)
                return
            with watch(plan, folder.name, self.environment) as listener:
                end = continue_study(
                    folder.name, [request], self.environment, progress, listener, data=self._moved_to
                )
        finish(end, plan, folder)

    def extend(self, request: "StageRequest", name: str) -> None:
        """Add trials to a search of study ``name``."""
        from hpo.study.session import extend_study, preview_extension

        folder, plan = self._known_plan(name)
        self._refuse_other_options(plan, folder.name, request.name)
        request = replace(request, table=self._table_for(plan, folder.name, request.name))
        with ReadingProgress() as progress:
            if self.dry_run:
                prepared = preview_extension(
                    folder.name, request, self.environment, progress, data=self._moved_to
                )
                _show_plan(plan, folder.name, [prepared], self.environment)
                return
            with watch(plan, folder.name, self.environment) as listener:
                end = extend_study(
                    folder.name, request, self.environment, progress, listener, data=self._moved_to
                )
        finish(end, plan, folder)

    @property
    def _moved_to(self) -> str | None:
        """Place of a known study's data that was typed, which may be another than at its start."""
        return self.request.data if self.has_data else None

    def _known_plan(self, name: str | None) -> "tuple[Path, StudyPlan]":
        """Return the folder and the plan of a study, by default of the one that changed last."""
        from hpo.journal.journal import stored_events
        from hpo.journal.results import StudyState
        from hpo.study.folders import chosen_study
        from hpo.study.plan import plan_of

        folder = chosen_study(self.environment, name)
        return folder, plan_of(folder, StudyState.replay(stored_events(folder)).created)

    def _nothing_to_continue(self, stage: str) -> ConfigError:
        """Return the error for a later stage on data of which there is no study yet."""
        place = "--data-uri" if is_uri(self.request.data) else "--data"
        words = [place, self.request.data]
        words += ["--features", self.request.features] if self.request.features else []
        options = shell_line(*words)
        return ConfigError(
            "there is no study yet that this stage could continue",
            **{
                "fix": f"search first: hpo run bayes {options}",
                "or, without a search": f"hpo run {stage} --from paper {options}",
            },
        )

    def _request_from(self, source: str | None) -> "StudyRequest":
        """Return the request for a new study; without data of its own it takes those of the study ``source``.

        The settings come from that study too, unless a study file was typed.
        """
        if self.names_data or source is None or not self.is_known(source):
            return self.request
        _, plan = self._known_plan(source)
        return replace(
            self.request,
            settings=None if self.has_study_file else plan.study,
            data=plan.data,
            features=plan.features,
            counts=self.request.counts or (plan.train.items, plan.valid.items),
        )

    def _table_for(self, plan: "StudyPlan", name: str, stage: str) -> "Mapping[str, Any] | None":
        """Return the table of ``stage`` in the typed study file, which may differ from the study's own.

        Raises:
            ConfigError: The file differs in settings that all stages share, or cannot be used.
        """
        from hpo.config.differences import differing_settings
        from hpo.tasks.base.registry import load_study

        if not self.has_study_file:
            return None
        study = load_study(self.request.study_file)
        if differing := differing_settings(study, plan.study):
            key, (typed, kept) = next(iter(differing.items()))
            more = f" (and {len(differing) - 1} more)" if len(differing) > 1 else ""
            raise _differs(
                name, stage, f"{key} = {json.dumps(kept)}{more}", f"{json.dumps(typed)} from --study-file"
            )
        return study.stages.named(stage).model_dump(mode="json")

    def _refuse_other_options(self, plan: "StudyPlan", name: str, stage: str) -> None:
        """Refuse options that differ from those with which the study was started."""
        typed, unit = self.request, plan.task.unit
        counts = (plan.train.items, plan.valid.items)
        pairs = (
            ("features {}", typed.features or plan.features, plan.features),
            (f"{{0[0]}},{{0[1]}} {unit}", typed.counts or counts, counts),
            ("labels {}", typed.labels or plan.study.labels, plan.study.labels),
            ("seed {}", typed.seed or plan.seed, plan.seed),
            ("device {}", plan.device if typed.device == "auto" else typed.device, plan.device),
        )
        for text, typed_value, kept in pairs:
            if typed_value != kept:
                raise _differs(name, stage, text.format(kept), text.format(typed_value))
        if typed.skip_missing and not plan.study.skips_missing:
            raise _differs(name, stage, f"no {unit} left out", "--skip-missing")

    def refuse_unknown_stage(self, stage: str, name: str | None) -> None:
        """Check that the typed study file, else the study to continue, has the stage ``stage``.

        Raises:
            ConfigError: The stage does not exist, or there is neither a study file nor a study.
        """
        from hpo.study.folders import known_studies
        from hpo.tasks.base.registry import load_study

        if self.has_study_file:
            load_study(self.request.study_file).stages.named(stage)
        elif name is None and not known_studies(self.environment):
            raise ConfigError(
                f"{stage!r} is neither a command of this program nor a stage of a study",
                fix="list the commands with: hpo run --help; for a stage of your own task add --study or "
                "--study-file",
            )
        else:
            _, plan = self._known_plan(name)
            plan.study.stages.named(stage)

    def is_known(self, name: str | None) -> bool:
        """Whether the study ``name`` exists."""
        from hpo.study.folders import known_studies

        return name is not None and name in known_studies(self.environment)

    def _run(self, plan: "StudyPlan", stages: "Sequence[StageRequest]", name: str | None) -> None:
        from hpo.report.console import standard_error
        from hpo.study.folders import free_name, study_folder
        from hpo.study.preparing import prepare_new
        from hpo.study.session import start_study

        usual = "-".join(dict.fromkeys(plan.dataset.split("/")))
        chosen = name or free_name(self.environment, usual)
        with ReadingProgress() as progress:
            prepared = prepare_new(plan, chosen, stages, self.environment, progress)
        if name is None and chosen != usual:
            standard_error().print(
                f"a study {usual} exists already; the new one is named {chosen} (--study chooses a name)",
                soft_wrap=True,
            )
        if self.dry_run:
            _show_plan(plan, chosen, prepared, self.environment)
            return
        with watch(plan, chosen, self.environment) as listener:
            end = start_study(plan, chosen, prepared, self.environment, listener)
        finish(end, plan, study_folder(self.environment, chosen))

    def _new_plan(self, request: "StudyRequest", stages: Sequence[str]) -> "StudyPlan":
        from hpo.study.plan import make_plan

        self.make_data()
        with ReadingProgress() as progress:
            return make_plan(request, self.environment, progress, stages=stages)


def _differs(name: str, stage: str, kept: str, typed: str) -> ConfigError:
    return ConfigError(
        f"study {name!r} was started with {kept}, got {typed}",
        fix="leave this option out, or add it to the command that starts another study from what this one "
        f"found: {shell_line('hpo', 'run', stage, '--from', name, '--study', 'NEW')}",
    )


def two_counts(text: str | None, option: str) -> tuple[int, int] | None:
    """Parse the numbers of training and validation items; ``option`` is the option's name, for errors."""
    if text is None:
        return None
    parts = text.split(",")
    if len(parts) != 2 or not all(part.strip().isdigit() and int(part) > 0 for part in parts):
        raise ConfigError(f"expected {option} TRAIN,VALID such as 60,30, got {text!r}")
    return int(parts[0]), int(parts[1])


def _show_plan(
    plan: "StudyPlan", name: str, stages: "Sequence[PreparedStage]", environment: "Environment"
) -> None:
    from hpo.study.outline import outline, plan_text
    from hpo.tracking.store_check import require_usable_store

    require_usable_store(environment)
    typer.echo(plan_text(plan, name, [outline(stage, environment) for stage in stages]))
