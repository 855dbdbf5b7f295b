"""Start and continuation of studies, for the command line and for Python users."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypedDict

from hpo.api.another_study import another_study, nothing_to_continue, without_versions
from hpo.api.callbacks import Callback
from hpo.api.notifying import Channel, channel_of
from hpo.api.watching import ReadingProgress, say, tell_end, watch
from hpo.config.bounds import Bounds
from hpo.config.differences import differing_settings
from hpo.config.environment import Environment
from hpo.config.notify import Notify
from hpo.config.point_file import TypedPoints
from hpo.config.stages import SEARCH
from hpo.journal.events import BudgetSet
from hpo.journal.results import stored_state
from hpo.report.console import standard_error
from hpo.report.stage_order import unfinished_lines
from hpo.study.configurations.start_configuration import starting_configuration, study_in
from hpo.study.configurations.warm_start import refuse_other_warm_start
from hpo.study.folders import PAPER, chosen_study, free_name, known_studies, study_folder
from hpo.study.plan import (
    StageRequest,
    StudyPlan,
    StudyRequest,
    make_plan,
    refuse_options_of_other_tasks,
    stored_plan,
)
from hpo.study.running.pending_stages import SessionEnd
from hpo.study.running.preparing import PreparedStage, prepare_new
from hpo.study.running.runner import Listener
from hpo.study.running.session import (
    continue_study,
    preview_continuation,
    start_study,
)
from hpo.tasks.base.presentation.stage_command import TaskCommands
from model.errors import ConfigError


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """A study that ran, to its end or until it was interrupted."""

    plan: StudyPlan
    folder: Path
    end: SessionEnd
    cluster: str | None
    """Address of the Ray cluster that trained; None for this machine."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A study or stage that a dry run has prepared."""

    plan: StudyPlan
    name: str
    stages: Sequence[PreparedStage]
    environment: Environment


Outcome = Ran | Prepared

_PARALLEL = {"concurrent": "concurrent", "array": "array"}
PROCEDURE: Mapping[str, Mapping[str, str]] = {
    SEARCH: {**{key: key for key in ("trials", "searcher", "scheduler", "stop_when", "epochs")}, **_PARALLEL},
    "grid-slicing": {"epochs": "epochs", **_PARALLEL},
    "final": {"seeds": "seeds", "epochs": "final_epochs", **_PARALLEL},
}
"""Stage of the paper's procedure -> key of its table -> option of the procedure that sets it."""
_PAPERS_SEARCH = {"searcher": "bayes-opt", "scheduler": "none"}
"""Search of the paper; other searches use what the bench found best."""


class _Given(TypedDict):
    data: str | None
    budget: BudgetSet | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """A start or continuation of a study with its options resolved."""

    commands: TaskCommands
    """Commands of the task, with its demo data."""
    request: StudyRequest
    """Options of a new study."""
    environment: Environment
    make_data: Callable[[str], None]
    """Function that generates the demo data if they are in this place and do not exist yet."""
    no_data: ConfigError | None
    """Error of a new study if its data were not given and are not in the usual folder; None if they are."""
    has_data: bool
    """Whether the place of the data was given."""
    names_data: bool
    """Whether the place of the data or the features were given."""
    has_study_file: bool
    """Whether a study file was given."""
    dry_run: bool
    """Whether to prepare only, with all checks, and start nothing."""
    callbacks: Sequence[Callback]
    """Called after every event."""
    budget: BudgetSet | None
    """Budget that was given; None: that of the study file applies."""
    notify: Sequence[str] = ()
    """Addresses for notifications, instead of those of the study file."""

    def search(
        self,
        options: Mapping[str, Any],
        name: str | None,
        *,
        warm_start: str | None = None,
        tried: TypedPoints | None = None,
        bounds: Bounds = (),
    ) -> Outcome:
        """Run the search as a new study, or add trials to that of study ``name`` if it exists.

        Args:
            options: Typed options by key of the stage's table.
            name: Name of the study. None: a new one with a name of its own.
            warm_start: Study whose scores a new search learns from.
            tried: Points to try before those of the searcher.
            bounds: Other bounds of the space, such as ``alpha2=0.5..200``.

        Raises:
            UserError: An option cannot be used.
        """
        request = StageRequest(
            name=SEARCH, options=options, warm_start=warm_start, tried=tried, bounds=bounds
        )
        if not self.is_known(name):
            return self._start([request], name)
        if warm_start is not None:
            refuse_other_warm_start(chosen_study(self.environment, name), warm_start)
        folder, plan, request = self._next_stage(request, name)
        return self._go_on(plan, folder, request)

    def run_stage(
        self, stage: str, options: Mapping[str, Any], name: str | None, source: str | None
    ) -> Outcome:
        """Continue a study with ``stage``, or start one with it, from the configuration ``source``.

        Args:
            stage: The stage.
            options: Typed options by key of the stage's table.
            name: Name of the study. None: the study that changed last; a new one if data are named beside
                ``source``, if there is no study yet, or if the task says so.
            source: The configuration: ``paper``, a study, a file or an MLflow run. None: that of the study,
                else the study file's.

        Raises:
            UserError: An option cannot be used, or there is no such stage or study.
        """
        is_listed = self.commands.names(stage)
        if not is_listed:
            self._refuse_unknown_stage(stage, name)
        begins_study = self.commands.begins_study if is_listed else self.has_study_file
        begins = begins_study and (name is None or self.has_data)
        if begins_study and not begins and source is None and not self.is_known(name):
            raise ConfigError(
                f"there is no study {name!r}", fix="to start one of that name, add --data or --from"
            )
        goes_on = name is None and not self.names_data and bool(known_studies(self.environment))
        if not self.is_known(name) and (begins or (source is not None and not goes_on)):
            return self._start_from(source, stage, options, name)
        return self._continue_with(source, stage, options, name)

    def start_procedure(self, options: Mapping[str, Any], name: str | None) -> Outcome:
        """Run the paper's whole procedure, the stages bayes, grid-slicing and final, as a new study.

        Args:
            options: Typed options by name: those of ``PROCEDURE``, each of which goes to its stages. Without
                them, the search is that of the paper.
            name: Name of the study. None: one made of the data and the features.

        Raises:
            UserError: An option cannot be used.
        """
        known = {typed for keys in PROCEDURE.values() for typed in keys.values()}
        if unknown := [typed for typed in options if typed not in known]:
            raise ConfigError(
                f"the paper's procedure has no setting {unknown[0]!r}", known=", ".join(sorted(known))
            )
        typed_or_paper = {
            **_PAPERS_SEARCH,
            **{key: value for key, value in options.items() if value is not None},
        }
        return self._start(
            [
                StageRequest(
                    name=stage, options={key: typed_or_paper.get(typed) for key, typed in keys.items()}
                )
                for stage, keys in PROCEDURE.items()
            ],
            name,
        )

    def _start(self, stages: Sequence[StageRequest], name: str | None) -> Outcome:
        return self._run(self._new_plan(self.request, [stage.name for stage in stages]), stages, name)

    def is_known(self, name: str | None) -> bool:
        """Whether the study ``name`` exists."""
        return name is not None and name in known_studies(self.environment)

    def _start_from(
        self, source: str | None, stage: str, options: Mapping[str, Any], name: str | None
    ) -> Outcome:
        plan = self._new_plan(self._request_from(source), [stage])
        found = starting_configuration(source, plan, self.environment) if source else {}
        return self._run(plan, [StageRequest(name=stage, options=options, start=found)], name)

    def _continue_with(
        self, source: str | None, stage: str, options: Mapping[str, Any], name: str | None
    ) -> Outcome:
        if name is None and not known_studies(self.environment) and self.names_data:
            raise self.no_data or nothing_to_continue(stage, self.request)
        folder, plan, request = self._next_stage(StageRequest(name=stage, options=options), name)
        unfinished = unfinished_lines(stored_state(folder), stage)
        plan = replace(plan, notices=(*plan.notices, *unfinished))
        if source:
            request = replace(request, start=starting_configuration(source, plan, self.environment))
        return self._go_on(plan, folder, request)

    def _go_on(self, plan: StudyPlan, folder: Path, request: StageRequest) -> Outcome:
        """Run one more stage of a study, or more trials of its search."""
        if self.dry_run:
            with ReadingProgress() as progress:
                stages = preview_continuation(
                    folder.name, [request], self.environment, progress, **self._given
                )
            return Prepared(plan=plan, name=folder.name, stages=stages, environment=self.environment)
        with self._session(plan, folder) as (progress, listener):
            end = continue_study(folder.name, [request], self.environment, progress, listener, **self._given)
        return self._ran(plan, folder, end)

    def _run(self, plan: StudyPlan, stages: Sequence[StageRequest], name: str | None) -> Outcome:
        usual = "-".join(dict.fromkeys(plan.dataset.split("/")))
        chosen = free_name(self.environment, usual) if name is None else name
        for stage in stages:
            _refuse_unknown_settings(plan, stage.name, stage.options)
        channel = self._channel(plan)
        if self.notify:  # the study stores those that name variables, as it does those of a study file
            study = plan.study.model_copy(update={"notify": Notify(url=tuple(self.notify))})
            plan = replace(plan, study=study)
        with ReadingProgress() as progress:
            prepared = prepare_new(plan, chosen, stages, self.environment, progress, budget=self.budget)
        if name is None and chosen != usual:
            standard_error().print(
                f"a study {usual} exists already; the new one is named {chosen} (--study chooses a name)",
                soft_wrap=True,
            )
        if self.dry_run:
            return Prepared(plan=plan, name=chosen, stages=prepared, environment=self.environment)
        folder = study_folder(self.environment, chosen)
        with watch(plan, chosen, self.environment, self.callbacks, channel) as listener:
            end = start_study(plan, chosen, prepared, self.environment, listener, budget=self.budget)
        return self._ran(plan, folder, end)

    @contextmanager
    def _session(self, plan: StudyPlan, folder: Path) -> Iterator[tuple[ReadingProgress, Listener]]:
        """Show how the data of a known study are read and how the study runs."""
        with ReadingProgress() as progress:
            with watch(plan, folder.name, self.environment, self.callbacks, self._channel(plan)) as listener:
                yield progress, listener

    def _ran(self, plan: StudyPlan, folder: Path, end: SessionEnd) -> Ran:
        tell_end(end, plan, folder.name, self.environment)
        return Ran(plan=plan, folder=folder, end=end, cluster=self.environment.ray_address)

    def _channel(self, plan: StudyPlan) -> Channel | None:
        """Return where notifications go: as typed, else as in the typed study file or in that of the study.

        Raises:
            ConfigError: A typed address cannot be used.
        """
        in_file = self.request.load().notify.urls if self.has_study_file else ()
        return channel_of(self.notify or in_file, plan.study.notify.urls, say)

    def _new_plan(self, request: StudyRequest, stages: Sequence[str]) -> StudyPlan:
        if self.no_data:
            raise self.no_data
        self.make_data(request.data)
        with ReadingProgress() as progress:
            return make_plan(request, self.environment, progress, stages=stages)

    def _next_stage(self, request: StageRequest, name: str | None) -> tuple[Path, StudyPlan, StageRequest]:
        """Return a known study and the request for a stage of it, with the options checked."""
        folder, plan = self._known_plan(name)
        self._refuse_other_options(plan, folder.name, request)
        _refuse_unknown_settings(plan, request.name, request.options)
        return folder, plan, replace(request, table=self._table_for(plan, folder.name, request))

    @property
    def _given(self) -> "_Given":
        """What was typed for a known study: the place of its data, which may have moved, and a budget."""
        return {"data": self.request.data if self.has_data else None, "budget": self.budget}

    def _known_plan(self, name: str | None) -> tuple[Path, StudyPlan]:
        """Return the folder and the plan of a study, by default of the one that changed last."""
        folder = chosen_study(self.environment, name)
        return folder, stored_plan(folder)

    def _request_from(self, source: str | None) -> StudyRequest:
        """Return the request for a new study; without data of its own it takes those of the study ``source``.

        So do the settings, unless a study file was typed. A study of another task lends nothing.
        """
        if self.names_data or source in (None, PAPER) or not self.is_known(study_in(source)):
            return self.request
        _, plan = self._known_plan(study_in(source))
        if self.has_study_file and self.request.load().task != plan.study.task:
            return self.request
        return replace(
            self.request,
            settings=None if self.has_study_file else plan.study,
            data=plan.data,
            features=plan.features,
            counts=self.request.counts or (plan.train.items, plan.valid.items),
        )

    def _table_for(self, plan: StudyPlan, name: str, request: StageRequest) -> Mapping[str, Any] | None:
        """Return the table of a stage in the typed study file, which may differ from the study's own.

        Raises:
            ConfigError: The file differs in settings that all stages share, or cannot be used.
        """
        if not self.has_study_file:
            return None
        study = self.request.load()
        if differing := differing_settings(study, plan.study):
            key, (typed, kept) = next(iter(differing.items()))
            more = f" (and {len(differing) - 1} more)" if len(differing) > 1 else ""
            shown = f"{key} = {json.dumps(kept)}{more}", f"{json.dumps(typed)} from --study-file"
            raise self._differs(plan, name, request, *shown)
        return study.stages.named(request.name).model_dump(mode="json")

    def _refuse_other_options(self, plan: StudyPlan, name: str, request: StageRequest) -> None:
        """Refuse options that differ from those with which the study was started."""
        refuse_options_of_other_tasks(plan.study, self.request)
        typed, unit = self.request, plan.task.unit
        if typed.labels and not plan.labels:
            raise without_versions(name, typed.labels)
        counts = (plan.train.items, plan.valid.items)
        pairs = (
            ("features {}", typed.features or plan.features, plan.features),
            (f"{{0[0]}},{{0[1]}} {unit}", typed.counts or counts, counts),
            ("labels {}", typed.labels or plan.labels, plan.labels),
            ("seed {}", plan.seed if typed.seed is None else typed.seed, plan.seed),
            ("device {}", plan.device if typed.device == "auto" else typed.device, plan.device),
        )
        for text, typed_value, kept in pairs:
            if typed_value != kept:
                raise self._differs(plan, name, request, text.format(kept), text.format(typed_value))
        if typed.skip_missing and not plan.study.skips_missing:
            raise self._differs(plan, name, request, f"no {unit} left out", "--skip-missing")

    def _differs(
        self, plan: StudyPlan, name: str, request: StageRequest, kept: str, typed: str
    ) -> ConfigError:
        file = self.request.study_file if self.has_study_file else ""
        study = replace(self.request, data=self._given["data"] or plan.data, study_file=file)
        other = another_study(
            name, plan, study, request, self.environment, self.commands, names_data=self.names_data
        )
        fix = f"leave this option out, or {other}"
        return ConfigError(f"study {name!r} was started with {kept}, got {typed}", fix=fix)

    def _refuse_unknown_stage(self, stage: str, name: str | None) -> None:
        """Check that the typed study file, else the study to continue, has the stage ``stage``.

        Raises:
            ConfigError: The stage does not exist, or there is neither a study file nor a study.
        """
        if self.has_study_file:
            self.request.load().stages.named(stage)
        elif name is None and not known_studies(self.environment):
            raise ConfigError(
                f"{stage!r} is neither a command of this program nor a stage of a study",
                fix="list the commands with: hpo run --help; for a stage of your own task add --study or "
                "--study-file",
            )
        else:
            _, plan = self._known_plan(name)
            plan.study.stages.named(stage)


def _refuse_unknown_settings(plan: StudyPlan, stage: str, options: Mapping[str, Any]) -> None:
    known = plan.study.stages.named(stage).model_dump()
    unknown = [key for key, value in options.items() if value is not None and key not in known]
    if unknown:
        raise ConfigError(f"stage {stage} has no setting {unknown[0]!r}", known=", ".join(known))
