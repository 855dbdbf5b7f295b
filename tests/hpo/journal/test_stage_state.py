"""State of a stage as its events leave it."""

from datetime import UTC, datetime

import pytest

from hpo.journal.events import GainEstimated
from hpo.journal.stage_state import StageState

LOW, HIGH = 0.01, 0.05


@pytest.mark.parametrize(
    ("gains", "in_a_row"), [([LOW, LOW], 2), ([LOW, LOW, HIGH], 0), ([LOW, LOW, HIGH, LOW], 1)]
)
def test_a_gain_above_the_noise_begins_the_count_of_unlikely_ones_anew(
    gains: list[float], in_a_row: int
) -> None:
    started_at = datetime(2026, 1, 2, tzinfo=UTC)
    stage = StageState(stage="bayes", space={}, trials=9, epochs=1, start={}, started_at=started_at)
    for proposed, gain in enumerate(gains):
        event = GainEstimated(stage="bayes", proposed=proposed, trials=10, gain=gain, noise=0.03)
        assert stage.estimate_gain(event, ended=proposed)
    assert stage.unlikely == in_a_row
