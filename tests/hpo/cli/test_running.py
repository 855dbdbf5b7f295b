"""What a study prints at its end, and ``hpo best`` later."""

from pathlib import Path

import pytest

from hpo.cli.running import show_stages
from hpo.journal.events import StageAsked, StageStarted, TrialAsked, TrialFinished
from hpo.journal.results import StudyState
from hpo.study.plan import StudyPlan
from hpo.study.preparing import creation


def test_results_end_with_the_command_beyond_the_edge_of_the_space(
    small_plan: StudyPlan, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = small_plan.study.stages.named("bayes").model_dump(mode="json")
    space = small_plan.task.varied(small_plan.study, "bayes", small_plan.shape)
    state = StudyState.replay(
        [
            creation(small_plan, Path("mine")),
            StageAsked(stage="bayes", settings=settings),
            StageStarted(stage="bayes", space=space, trials=2, epochs=2),
            TrialAsked(trial="bayes-0001", stage="bayes", parameters={"f": 9}, seed=4),
            TrialFinished(trial="bayes-0001", score=0.5, epoch=2, duration_s=1.0),
        ]
    )
    show_stages(state, small_plan)
    assert capsys.readouterr().out.splitlines()[-2:] == [
        "edge of the space: the best f, 9, is within 5 % of the upper bound 9",
        "to search beyond it: hpo run bayes --study mine --space f=2..10",
    ]
