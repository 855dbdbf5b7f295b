"""The page of a study, in a file and in MLflow."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hpo.config.environment import Environment
from hpo.journal.results import stored_state
from hpo.page.assembly import study_page
from hpo.page.paper import write_paper
from hpo.report.console import standard_error
from hpo.study.folders import REPORT
from hpo.study.plan import plan_of
from hpo.tracking.runs import attach_page
from model.errors import UserError
from model.shell import shell_line


@dataclass(frozen=True, slots=True)
class Report:
    """Files about a study."""

    page: Path
    """The HTML page."""
    texts: Sequence[Path]
    """Texts for a paper; none while no trial has a score."""


def write_report(environment: Environment, folder: Path, to: Path | None = None) -> Report:
    """Write the page of the study in ``folder`` and texts for a paper beside it; store the page in MLflow.

    A remark on standard error says why MLflow does not get the page.

    Args:
        environment: Environment of the study.
        folder: Folder of the study.
        to: File of the page, after which the texts are named: ``a.paper.md`` and ``a.paper.tex`` beside
            ``a.html``. Default: ``report.html`` in the folder of the study, beside ``paper.md`` and
            ``paper.tex``.
    """
    file, prefix = (to, f"{to.stem}.") if to else (folder / REPORT, "")
    page = study_page(environment, folder.name)
    page.write(file)
    state = stored_state(folder)
    texts = write_paper(plan_of(folder, state.created), state, file.parent, prefix=prefix)
    try:
        if attach_page(environment, page.identity, file) is None:
            standard_error().print(
                "the page is not stored in MLflow, which has no stage of the study yet; run "
                f"{shell_line('hpo', 'sync', folder.name)}, then {shell_line('hpo', 'report', folder.name)}",
                soft_wrap=True,
            )
    except UserError as error:
        standard_error().print(f"not recorded in MLflow: {error.message}", soft_wrap=True)
    return Report(file, texts)
