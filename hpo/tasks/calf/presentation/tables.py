"""Tables of the stages of action spotting, with the paper's results for comparison."""

from collections.abc import Sequence

from rich.console import RenderableType
from rich.table import Table

from hpo.journal.paired import paired_difference
from hpo.journal.ranking import counted_by_configuration
from hpo.journal.stage_state import StageState
from hpo.journal.trial_state import TrialState
from hpo.report.formats import value
from hpo.report.stage_tables import format_difference
from hpo.tasks.base.presentation.stage_presentation import StageView
from hpo.tasks.calf.sections import PAPERS_SCORE
from hpo.tasks.calf.shape import GamesShape
from hpo.tasks.calf.stages import GridStage

PAPERS_DATASET = "soccernet-v1"
"""Name of the data set that the paper reports on, without the features."""
TABLE_1 = {"i3d": 0.536, "c3d": 0.577, "resnet": 0.625}
"""Average-mAP by features from Table 1 of the paper, on SoccerNet's test split."""
TABLE_2 = {
    "full model": 0.625,
    "(i) no segmentation": 0.589,
    "(ii) no context slicing": 0.578,
    "(iii) no margins": 0.590,
    "(iv) no matching": 0.468,
}
"""Average-mAP from Table 2 of the paper, its ablation on ResNet features."""
TABLE_2_DATASET = f"{PAPERS_DATASET}/resnet"
"""Name of data and features of Table 2."""


def grid_tables(view: StageView) -> Sequence[RenderableType]:
    """Return the zones of every class, with remarks.

    The remarks name the classes that could not be judged and those that the combined winners make worse.
    """
    classes = view.shape.classes
    zones = zones_table(view.state.stages[view.stage], classes)
    unit = _unit_line(view)
    return [zones, *unit, *_not_judged(view), *_disturbances(view.compared, classes)]


def final_tables(view: StageView) -> Sequence[RenderableType]:
    """Return the paper's score for the same features if the study ran on SoccerNet with its tolerances."""
    dataset, _, features = view.dataset.rpartition("/")
    is_paper = dataset == PAPERS_DATASET and view.score.label.startswith(PAPERS_SCORE)
    if is_paper and features in TABLE_1:
        return [
            f"paper: {PAPERS_SCORE} {TABLE_1[features]:.3f} with {features} (Table 1, SoccerNet's test "
            "split); comparable only on the same games."
        ]
    return []


def zones_table(stage: StageState, classes: Sequence[str]) -> Table:
    """Return a table of the slicing parameters at the start of the grid and those chosen, in frames."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("class", "K1", "K2", "K3", "K4", "chosen K1", "K2", "K3", "K4"):
        table.add_column(name, justify="left" if name == "class" else "right")
    for label in classes:
        keys = [f"K{number}_frames.{label}" for number in (1, 2, 3, 4)]
        table.add_row(
            label,
            *(value(stage.start.get(key, "-")) for key in keys),
            *(value(stage.chosen.get(key, "-")) for key in keys),
        )
    return table


def _unit_line(view: StageView) -> list[str]:
    """Return a line with the unit of K."""
    assert isinstance(view.shape, GamesShape), "stages of action spotting run on games"
    return [f"K1 to K4: in frames, of which {view.shape.frame_rate.per_second:g} are one second."]


def _not_judged(view: StageView) -> list[str]:
    """Return a line with the classes that have no AP, since the validation split has no action of them."""
    asked = view.state.asked.get(view.stage)
    settings = asked.settings if asked else {}
    strategy = {name: settings[name] for name in ("mode", "shared") if name in settings}
    if not GridStage.model_validate(strategy).judges_classes:
        return []
    scored = [trial for trial in view.trials if trial.score is not None]
    absent = [
        label
        for label in view.shape.classes
        if scored and not any(f"ap/{label}" in trial.metrics for trial in scored)
    ]
    if not absent:
        return []
    return [f"{', '.join(absent)}: no actions in the validation split, so that the start's zones are kept"]


def _disturbances(trials: Sequence[TrialState], classes: Sequence[str]) -> list[str]:
    """Return a line for each class that is worse with the combined winners than at the start."""
    lines = []
    counted = counted_by_configuration(trials)
    for label in classes:
        scores = {
            role: {
                trial.replicate: trial.metrics[f"ap/{label}"]
                for trial in counted
                if trial.role == role and f"ap/{label}" in trial.metrics
            }
            for role in ("combined", "start")
        }
        difference = paired_difference(scores["combined"], scores["start"])
        if difference is not None and difference.mean < 0 and difference.is_clear:
            lines.append(
                f"interaction: {label} has {format_difference(difference)} AP with the winners of all "
                "classes combined, so the classes influence each other; try --mode per-class"
            )
    return lines
