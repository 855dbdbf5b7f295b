"""A list of configurations, each trained with the same seeds: finals, ablations, sweeps."""

from collections.abc import Mapping, Sequence

from hpo.journal.results import TrialState
from hpo.programs.program import Answer, Choice, Program, Proposal, best_by_mean
from hpo.space.space import Parameters

COMPARING = 101
"""First replicate of finals and other comparisons: no search or grid before has chosen anything by it."""


class ListedProgram(Program):
    """Trains every entry with the first seed, then every entry with the second, and so on.

    Args:
        entries: Role -> parameters, in order.
        seeds: Trials of each entry.
        first: Replicate of the first seed. A configuration that was chosen by one seed looks too good on it:
            comparisons use others.
    """

    def __init__(self, entries: Mapping[str, Parameters], *, seeds: int, first: int) -> None:
        self._entries = list(entries.items())
        self._seeds, self._first = seeds, first

    @property
    def planned(self) -> int:
        """Entries times seeds."""
        return len(self._entries) * self._seeds

    def next(self, trials: Sequence[TrialState]) -> Proposal | Answer:
        """The next entry of the list."""
        replicate, index = divmod(len(trials), len(self._entries))
        if replicate >= self._seeds:
            return Answer.DONE
        role, parameters = self._entries[index]
        return Proposal(parameters=parameters, replicate=self._first + replicate, role=role)

    def choice(self, trials: Sequence[TrialState]) -> Choice | None:
        """The highest mean over seeds; an entry with a failed seed is out while others have all of theirs."""
        return best_by_mean(trials, complete=self._seeds) or best_by_mean(trials)
