"""The commands of boundary-matching networks on ActivityNet (section 4.2 of the paper)."""

from pathlib import Path

from hpo.tasks.base.presentation.stage_command import (
    COMPARISON_SEEDS,
    REPLICATES,
    DemoData,
    StageCommand,
    StageOption,
    TaskCommands,
)
from hpo.tasks.base.splits import Progress

DEMO_VIDEOS = {"training": 64, "validation": 32}
"""Number of generated videos in each subset."""
DEMO_POSITIONS, DEMO_DIMS, DEMO_CLASSES = 32, 32, 5
"""Positions and features per generated video, and number of classes, as in the study file ``bmn-demo``."""


def make_videos(folder: Path, seed: int, progress: Progress) -> None:
    """Generate annotated videos with features from ``seed``; files that exist in ``folder`` are kept."""
    from model.data.activitynet import synthetic

    synthetic.make_dataset(
        folder,
        synthetic.make_videos(DEMO_VIDEOS, classes=DEMO_CLASSES, seed=seed),
        positions=DEMO_POSITIONS,
        dims=DEMO_DIMS,
        seed=seed,
        progress=lambda done, videos: progress("generating videos", done, videos),
    )


COMMANDS = TaskCommands(
    task="bmn",
    study_file="bmn",
    demo=DemoData(folder="videos", study_file="bmn-demo", make=make_videos),
    begins_study=True,
    stages=(
        StageCommand(
            stage="bmn-slicing",
            help="ActivityNet: search K1 of the context-aware loss. K1 = 2 K2 = -2 K3 = -K4; the score is "
            "AUC.",
            options=(REPLICATES, COMPARISON_SEEDS),
        ),
        StageCommand(
            stage="bmn-compare",
            help="ActivityNet: compare two losses over many runs. They are BMN's own and the context-aware "
            "loss (Table 3).",
            options=(
                StageOption(
                    key="runs",
                    kind="count",
                    least=2,
                    help="Number of training runs with each loss. Default: from the study file (20 in bmn, "
                    "as in the paper).",
                ),
                StageOption(
                    key="tem_losses",
                    kind="texts",
                    name="tem-loss",
                    help="Loss to train with: bmn or context-aware. Default: both.",
                ),
            ),
        ),
    ),
)
