"""The page of a study, in a file and in MLflow."""

from pathlib import Path

from hpo.config.environment import Environment
from hpo.journal.results import stored_state
from hpo.page.assembly import study_page
from hpo.page.paper import write_paper
from hpo.report.console import standard_error
from hpo.study.plan import plan_of
from hpo.tracking.runs import attach_page
from model.errors import UserError
from model.shell import shell_line


def write_report(environment: Environment, folder: Path, file: Path) -> Path:
    """Write the page of the study in ``folder`` to ``file``, store a copy in MLflow, and return ``file``.

    The texts for a paper, paper.md and paper.tex, are written beside it.

    A remark on standard error says why MLflow does not get the copy.
    """
    page = study_page(environment, folder.name)
    page.write(file)
    state = stored_state(folder)
    write_paper(plan_of(folder, state.created), state, file.parent)
    try:
        if attach_page(environment, page.identity, file) is None:
            standard_error().print(
                "the page is not stored in MLflow, which has no stage of the study yet; run "
                f"{shell_line('hpo', 'sync', folder.name)}, then {shell_line('hpo', 'report', folder.name)}",
                soft_wrap=True,
            )
    except UserError as error:
        standard_error().print(f"not recorded in MLflow: {error.message}", soft_wrap=True)
    return file
