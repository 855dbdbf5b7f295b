"""A task from elsewhere with a stage, a table, a figure and a note of its own."""

from pathlib import Path

import numpy as np
import pytest
from e2e.command_line import CommandLine
from e2e.test_own_task import block

ADDED = """

from matplotlib.figure import Figure
from plotly.graph_objects import Figure as Interactive
from rich.table import Table

from hpo.config.stages import Stage
from hpo.programs.listed import FIRST_COMPARISON_REPLICATE, ListedProgram
from hpo.tasks.base.presentation.stage_presentation import StageFigure, StagePresentation


class DecayStage(Stage):
    values: list[float] = [0.0, 0.25]


class DecayStages(LineStages):
    decays: DecayStage = DecayStage()


class DecayStudy(LineStudy):
    stages: DecayStages


def decay_table(view):
    table = Table("decay", "rows of features", box=None)
    for trial in view.compared:
        table.add_row(f"decay is {trial.parameters['decay']:g}", str(view.shape.dims))
    return [table, "a line of its own"]


def decay_figure(view):
    return StageFigure(
        name="decays",
        title="Scores by decay",
        caption="How to read it.",
        picture=Figure(),
        interactive=Interactive(),
    )


class DecayTask(LineTask):
    study_file = DecayStudy

    def program(self, context):
        settings = context.study.stages.named(context.stage)
        if isinstance(settings, DecayStage):
            entries = {f"decay {value:g}": {**context.start, "decay": value} for value in settings.values}
            return ListedProgram(entries, seeds=1, first_replicate=FIRST_COMPARISON_REPLICATE)
        return super().program(context)

    def presentation(self, stage):
        if stage != "decays":
            return super().presentation(stage)
        return StagePresentation(
            reference="decay 0.25",
            published={"decay 0": 0.5},
            note="A note of the task.",
            tables=decay_table,
            figures={"decays": decay_figure},
        )


TASK = DecayTask()
"""


@pytest.fixture
def line(hpo_with_own_code: CommandLine, own_code: Path) -> CommandLine:
    """A folder with data for the tutorial's task, to which a stage is added."""
    hpo = hpo_with_own_code
    (own_code / "line.py").write_text(block("python", "line.py") + ADDED)
    (hpo.folder / "line.toml").write_text(block("toml", "line.toml"))
    points = hpo.folder / "points"
    points.mkdir()
    for split in ("train", "valid"):
        rows = np.random.default_rng(0).normal(size=(40, 3))
        np.save(points / f"{split}.npy", np.column_stack([rows, rows @ np.array([1.0, -2.0, 0.5])]))
    return hpo


@pytest.mark.slow
def test_stage_of_a_task_from_elsewhere_runs_and_is_presented_as_the_task_says(line: CommandLine) -> None:
    ran = line.run("run", "decays", "--study-file", "./line.toml", "--data", "points", "--study", "s")
    assert ran.returncode == 0, ran.stderr
    rows = [cells.split() for cells in ran.stdout.splitlines() if cells.strip().startswith("decay")]
    assert ["decay", "is", "0.25", "3"] in rows, ran.stdout
    assert next(row for row in rows if row[:2] == ["decay", "0"])[-1] == "0.500"
    assert "minus 'decay 0.25'" in ran.stdout and "a line of its own" in ran.stdout

    page = line.run("report", "s")
    assert page.returncode == 0, page.stderr
    html = (line.folder / page.stdout.strip()).read_text()
    for shown in (
        "A note of the task.",
        "Scores by decay",
        "a line of its own",
        "hpo run decays --study s-again",
    ):
        assert shown in html
    assert "Figure not drawn" not in html

    wrong = line.run("run", "decay", "--study", "s")
    assert wrong.returncode == 2 and "known: bayes, final, decays" in wrong.stderr
