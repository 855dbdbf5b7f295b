"""Commands for the stages of action spotting that follow the search."""

from pathlib import Path

from hpo.tasks.base.presentation.stage_command import (
    COMPARISON_SEEDS,
    FINAL_SEEDS,
    DemoData,
    StageCommand,
    StageOption,
    TaskCommands,
)
from hpo.tasks.base.splits import Progress

DEMO_GAMES = {"train": 8, "valid": 4, "test": 4}
"""Number of synthetic games in each split: enough to learn from within seconds."""
DEMO_MINUTES = 20
"""Duration of a half of a synthetic game, in minutes."""


def make_games(folder: Path, seed: int, progress: Progress) -> None:
    """Generate synthetic games from ``seed`` in ``folder``, unless it already contains a data set."""
    from model.data.layout.description_text import changing
    from model.data.synthetic import write_synthetic

    described = folder / "dataset.toml"
    if described.exists():
        return
    folder.mkdir(parents=True, exist_ok=True)
    with changing(folder):
        if not described.exists():  # another process may have generated them meanwhile
            write_synthetic(
                folder,
                games=DEMO_GAMES,
                minutes=DEMO_MINUTES,
                seed=seed,
                progress=lambda done, games: progress("generating synthetic games", done, games),
            )


COMMANDS = TaskCommands(
    task="calf",
    study_file="calf",
    demo=DemoData(folder="synthetic", study_file="demo", make=make_games),
    stages=(
        StageCommand(
            stage="grid-slicing",
            help="Search the slicing parameters on a grid. Every class has K1 < K2 < 0 < K3 < K4.",
            options=(
                StageOption(
                    key="mode",
                    kind="text",
                    help="How the grid combines the classes: class-parallel, per-class, symmetric or "
                    "joint. Default: from the study file.",
                ),
                StageOption(
                    key="replicates",
                    kind="count",
                    help="Seeds per point of the grid, whose score is the average. class-parallel takes the "
                    "first seed for all points, and spends the others on the better half of each class's "
                    "points, then on the better quarter, and so on. Default: from the study file.",
                ),
                COMPARISON_SEEDS,
            ),
        ),
        StageCommand(
            stage="final",
            help="Compare the best configurations. Trains them with several seeds and scores them once on "
            "the test split.",
            options=(FINAL_SEEDS,),
        ),
        StageCommand(
            stage="ablation",
            help="Measure the effect of parts of the model. Trains without segmentation, slicing, margins or "
            "matching (Table 2).",
        ),
        StageCommand(
            stage="sensitivity",
            help="Vary each slicing parameter alone. The other parameters stay fixed.",
        ),
        StageCommand(
            stage="lambda-sweep",
            help="Vary lambda_seg. The default values lie between 0.01 and 100 (section 7.5 of the paper).",
        ),
    ),
)
