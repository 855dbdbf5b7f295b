"""Something breaks that a study outlives: it ends as if nothing had been."""

import pytest
from e2e.command_line import CommandLine
from faults.check import ends_as_if_nothing_had_been
from faults.faults import RUNNING

pytestmark = [pytest.mark.faults, pytest.mark.slow]


@pytest.mark.parametrize("fault", RUNNING)
def test_study_ends_as_if_nothing_had_been_after(
    fault: str, hpo: CommandLine, undisturbed: dict[str, float]
) -> None:
    ends_as_if_nothing_had_been(RUNNING, fault, hpo, undisturbed)
