"""Lookup of the configuration that the option ``--from`` names."""

from pathlib import Path

from hpo.config.environment import Environment
from hpo.journal.journal import read_journal
from hpo.journal.results import StudyState
from hpo.space.space import Parameters
from hpo.study.configuration import configuration_from_symbols, configuration_of_run, read_configuration
from hpo.study.folders import known_studies, study_folder
from hpo.study.plan import StudyPlan
from hpo.tracking.runs import run_parameters
from hpo.tracking.symbols import by_symbol
from model.errors import UserError
from model.shell import shell_line


def starting_configuration(source: str, plan: StudyPlan, environment: Environment) -> Parameters:
    """Return the configuration that ``source`` names, on the data of ``plan``.

    Args:
        source: ``paper`` (the study file's own), the name of a study, a file, or the id of an MLflow run.
        plan: Plan of the new study, which supplies missing values.
        environment: Names the folder of studies and MLflow's store.

    Raises:
        UserError: The source is unknown, or its configuration cannot be used on these data.
    """
    if source == "paper":
        return plan.own_configuration()
    if source in known_studies(environment):
        return _of_study(source, plan, environment)
    if Path(source).is_file():
        return read_configuration(Path(source), plan)
    recorded = run_parameters(environment, source)
    if recorded is None:
        raise UserError(
            f"expected --from paper, a study, a file or an MLflow run, got {source!r}",
            studies=", ".join(known_studies(environment)) or "none yet",
        )
    return configuration_of_run(source, recorded, plan)


def _of_study(name: str, plan: StudyPlan, environment: Environment) -> Parameters:
    """Return the latest configuration that a study found, such as by its grid, else by its search."""
    state = StudyState.replay(read_journal(study_folder(environment, name)).events)
    for stage in reversed(plan.task.finders):
        if stage in state.stages and state.stages[stage].chosen:
            symbols = by_symbol(state.stages[stage].chosen)
            return configuration_from_symbols(symbols, plan, source=f"study {name}")
    if state.pending:
        fix = f"finish it first: {shell_line('hpo', 'resume', name)}"
    else:
        fix = "use the configuration of another study, or the study file's own: --from paper"
    raise UserError(f"study {name!r} has found no configuration", fix=fix)
