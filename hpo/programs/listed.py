"""Comparison of listed configurations over the same seeds: finals, ablations, sweeps."""

from collections.abc import Mapping, Sequence

from hpo.journal.trial_state import TrialState
from hpo.programs.program import Answer, Choice, Program, Proposal, best_choice
from hpo.space.space import Parameters

FIRST_COMPARISON_REPLICATE = 101
"""First replicate of finals and other comparisons. No search or grid uses it to choose a configuration."""
FIRST_CONFIRMATION_REPLICATE = 1001
"""First replicate of a grid's comparison with its start. No search, final or exploration uses it."""


class ListedProgram(Program):
    """Trains all entries with the first seed, then all with the second, and so on.

    Args:
        entries: Role -> parameters, in the order of training.
        seeds: Seeds per entry.
        first_replicate: Replicate of the first seed. A configuration that was chosen by a seed has an
            optimistic score on it, so comparisons use other seeds.
    """

    def __init__(self, entries: Mapping[str, Parameters], *, seeds: int, first_replicate: int) -> None:
        self._entries = dict(entries)
        self._replicates = range(first_replicate, first_replicate + seeds)

    @property
    def planned(self) -> int:
        """Number of trials: entries times seeds."""
        return len(self._entries) * len(self._replicates)

    def next(self, trials: Sequence[TrialState]) -> Proposal | Answer:
        """Return the next trial of the list, or DONE."""
        present = {(trial.role, trial.replicate) for trial in trials}
        for replicate in self._replicates:
            for role, parameters in self._entries.items():
                if (role, replicate) not in present:
                    return Proposal(parameters=parameters, replicate=replicate, role=role)
        return Answer.DONE

    def choice(self, trials: Sequence[TrialState]) -> Choice | None:
        """Choose the entry with the highest average over seeds.

        Entries with failed seeds are considered only if no entry has all its scores.
        """
        return best_choice(trials)
