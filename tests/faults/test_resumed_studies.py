"""Something ends a study: resumed, it ends as if nothing had been."""

import pytest
from e2e.command_line import CommandLine
from faults.check import ends_as_if_nothing_had_been
from faults.faults import RESUMED

pytestmark = [pytest.mark.faults, pytest.mark.slow]


@pytest.mark.parametrize("fault", RESUMED)
def test_study_ends_as_if_nothing_had_been_after(
    fault: str, hpo: CommandLine, ray: None, undisturbed: dict[str, float]
) -> None:
    ends_as_if_nothing_had_been(RESUMED, fault, hpo, undisturbed)
