"""Assembly of a study's page from its journal and the analyses of its best trial in MLflow."""

from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from rich.table import Table

from hpo.config.environment import Environment
from hpo.config.stages import SEARCH
from hpo.journal.early_end import early_end_lines
from hpo.journal.journal import writer_of
from hpo.journal.results import StudyState, stored_state
from hpo.journal.stage_state import StageState
from hpo.page.facts import (
    best_table,
    cost_table,
    data_facts,
    failures_table,
    representative_trials,
    settings_facts,
    stage_facts,
    summary,
)
from hpo.page.rerun import commands, start_files, study_file_toml
from hpo.page.study_page import AnalysesSection, ShownTable, StageSection, StudyPage, shown_table
from hpo.report.html import explored, picture
from hpo.study.folders import study_folder
from hpo.study.plan import StudyPlan, plan_of
from hpo.study.recorded.edges import edge_lines
from hpo.study.recorded.results import drawn_stage, stage_results
from hpo.study.recorded.verdict import verdict
from hpo.tracking.runs import attached_pictures
from model.errors import UserError
from model.shell import shell_line

_ANALYSIS = "analysis-"
_TOP = 10
"""Number of trials in the table of a search."""


def study_page(environment: Environment, name: str) -> StudyPage:
    """Assemble the page of study ``name``, whether it is running, stopped or complete.

    Raises:
        UserError: The study does not exist, or its journal is damaged.
    """
    folder = study_folder(environment, name)
    state = stored_state(folder)
    plan = plan_of(folder, state.created)
    file, writer = f"{name}.toml", writer_of(folder)
    return StudyPage(
        study=name,
        identity=state.created.identity,
        summary=summary(state, writer),
        verdict=found.sentence if (found := verdict(plan, state)) else "",
        settings=settings_facts(plan, state),
        data=data_facts(plan),
        stages=[
            _section(stage, state, plan, folder, is_running=writer is not None)
            for stage in state.stages.values()
        ],
        best=best_table(state),
        analyses=_analyses(state, plan, environment),
        failures=failures_table(state),
        notes=[*state.notes, *early_end_lines(state)],
        cost=cost_table(state),
        commands=commands(plan, state, file=file),
        files={file: study_file_toml(plan, state), **start_files(state)},
    )


def _heading(path: str) -> str:
    """Return a heading such as ``Game time, test split`` for ``analysis-test/game-time.png``."""
    place = PurePosixPath(path)
    split = place.parent.name.removeprefix(_ANALYSIS)
    return f"{place.stem.replace('-', ' ').capitalize()}, {split} split"


def _section(
    stage: StageState, state: StudyState, plan: StudyPlan, folder: Path, *, is_running: bool
) -> StageSection:
    name = stage.stage
    results = stage_results(plan, state, name, top=_TOP)
    drawn = drawn_stage(plan, state, name, folder)
    return StageSection(
        name=name,
        facts=stage_facts(stage, state, is_running=is_running),
        tables=_tables(results, plan.presentation(name).note),
        remarks=[
            *(result for result in results if isinstance(result, str)),
            *(edge_lines(plan, state) if name == SEARCH else []),
        ],
        figures=[explored(figure, place=f"{name}-{figure.name}") for figure in drawn.figures],
        failures=drawn.failures,
    )


def _tables(results: Sequence[object], caption: str) -> list[ShownTable]:
    """Convert all tables; the caption belongs to the first."""
    tables = [result for result in results if isinstance(result, Table)]
    return [shown_table(table, caption="" if index else caption) for index, table in enumerate(tables)]


def _analyses(state: StudyState, plan: StudyPlan, environment: Environment) -> AnalysesSection:
    """Return the analyses in MLflow of the first representative trial that has any."""
    study, heading = state.created.study, "Analyses of the best trial"
    if not plan.description.analyses:
        remark = f"The task {plan.study.task} has no analyses."
        return AnalysesSection(heading=heading, figures=[], remark=remark)
    best = [trial.trial for trial in representative_trials(state)]
    try:
        for trial in best:
            pictures = attached_pictures(environment, state.created.identity, trial, _ANALYSIS)
            if pictures:
                figures = [picture(_heading(path), png) for path, png in pictures.items()]
                return AnalysesSection(heading=f"Analyses of {trial}", figures=figures, remark="")
    except UserError as error:
        return AnalysesSection(heading=heading, figures=[], remark=f"Not available: {error.message}.")
    of = f" of {best[0]}" if best else ""
    remark = f"None yet{of}. Create them with: {shell_line('hpo', 'report', study, '--analyse')}"
    return AnalysesSection(heading=heading, figures=[], remark=remark)
