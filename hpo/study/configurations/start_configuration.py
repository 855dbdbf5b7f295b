"""Lookup of the configuration that the option ``--from`` names."""

from pathlib import Path

from hpo.config.environment import Environment
from hpo.journal.results import stored_state
from hpo.space.space import Parameters
from hpo.space.symbols import by_symbol
from hpo.study.configurations.configuration import (
    configuration_from_symbols,
    configuration_of_run,
    read_configuration,
)
from hpo.study.folders import PAPER, known_studies, study_folder
from hpo.study.plan import StudyPlan, plan_of
from hpo.tasks.base.found import deciding_stage
from hpo.tracking.runs import run_parameters
from model.errors import UserError
from model.shell import shell_line


def starting_configuration(source: str, plan: StudyPlan, environment: Environment) -> Parameters:
    """Return the configuration that ``source`` names, on the data of ``plan``.

    Args:
        source: ``paper`` (the study file's own), the name of a study, ``STUDY/TRIAL``, a file, or the id of
            an MLflow run.
        plan: Plan of the new study, which supplies missing values.
        environment: Names the folder of studies and MLflow's store.

    Raises:
        UserError: The source is unknown, or its configuration cannot be used on these data.
    """
    if source == PAPER:
        return plan.own_configuration()
    if source in known_studies(environment):
        return _of_study(source, plan, environment)
    if (study := study_in(source)) in known_studies(environment):
        return _of_trial(study, source.partition("/")[2], plan, environment)
    if Path(source).is_file():
        return read_configuration(Path(source), plan)
    recorded = run_parameters(environment, source)
    if recorded is None:
        raise UserError(
            f"expected --from paper, a study, STUDY/TRIAL, a file or an MLflow run, got {source!r}",
            studies=", ".join(known_studies(environment)) or "none yet",
        )
    return configuration_of_run(source, recorded, plan)


def study_in(source: str) -> str:
    """Return the study that a source names, alone or with one of its trials."""
    return source.partition("/")[0]


def _of_trial(name: str, trial: str, plan: StudyPlan, environment: Environment) -> Parameters:
    """Return the configuration of a trial; what it does not vary has its study's values."""
    folder = study_folder(environment, name)
    state = stored_state(folder)
    if trial not in state.trials:
        raise UserError(f"study {name!r} has no trial {trial!r}", known=state.names_of_trials())
    own = plan_of(folder, state.created).own_configuration()
    whole = {**own, **state.trials[trial].parameters}
    return configuration_from_symbols(by_symbol(whole), plan, source=f"{name}/{trial}")


def _of_study(name: str, plan: StudyPlan, environment: Environment) -> Parameters:
    """Return the configuration that a study found."""
    state = stored_state(study_folder(environment, name))
    if stage := deciding_stage(state):
        return configuration_from_symbols(by_symbol(stage.chosen), plan, source=f"study {name}")
    if state.pending:
        fix = f"finish it first: {shell_line('hpo', 'resume', name)}"
    else:
        fix = "use the configuration of another study, or the study file's own: --from paper"
    raise UserError(f"study {name!r} has found no configuration", fix=fix)
