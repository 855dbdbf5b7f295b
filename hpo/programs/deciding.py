"""Comparison of configurations that trains more seeds only where they decide something."""

from collections.abc import Mapping, Sequence

from hpo.journal.paired import paired_difference
from hpo.journal.ranking import CONFIDENCE, ranked
from hpo.journal.trial_state import TrialState
from hpo.programs.program import Answer, Choice, Program, Proposal, best_choice
from hpo.space.space import Parameters

LEAST_SEEDS = 3
"""Seeds of every entry before the first decision."""


class DecidingProgram(Program):
    """Trains all entries seed by seed, and drops those that are surely worse than the best one.

    After every seed, each entry is compared with the one that ranks first, over their common seeds. It is
    dropped when the interval of the difference excludes 0. It stays where an earlier decision has given it a
    further seed, also if failed trials that were trained again would now decide otherwise. Looking again and
    again finds a difference by chance some time, so the level of the intervals is divided by the number of
    looks (Bonferroni): at the end all of them hold together with a probability of 95 % or more.

    Args:
        entries: Role -> parameters, in the order of training.
        most_seeds: Seeds per entry after which the comparison ends undecided.
        first_replicate: Replicate of the first seed; no search may have used it.
    """

    def __init__(self, entries: Mapping[str, Parameters], *, most_seeds: int, first_replicate: int) -> None:
        self._entries, self._most_seeds, self._first_replicate = entries, most_seeds, first_replicate
        looks = max(1, most_seeds - LEAST_SEEDS + 1) * max(1, len(entries) - 1)
        self._confidence = 1 - (1 - CONFIDENCE) / looks

    @property
    def planned(self) -> int:
        """Maximum number of trials: entries times seeds."""
        return len(self._entries) * self._most_seeds

    def next(self, trials: Sequence[TrialState]) -> Proposal | Answer:
        """Return the next trial, WAIT if running trials decide which entries go on, or DONE."""
        by_role: dict[str, dict[int, TrialState]] = {role: {} for role in self._entries}
        for trial in trials:
            by_role[trial.role][trial.replicate - self._first_replicate] = trial
        candidates = list(self._entries)
        for seed in range(self._most_seeds):
            if len(candidates) < 2:
                break
            for role in candidates:
                if seed not in by_role[role]:
                    replicate = self._first_replicate + seed
                    return Proposal(parameters=self._entries[role], replicate=replicate, role=role)
            if seed + 1 >= LEAST_SEEDS:
                seeds = {role: [by_role[role][each] for each in range(seed + 1)] for role in candidates}
                if not all(trial.has_ended for tried in seeds.values() for trial in tried):
                    return Answer.WAIT
                undecided = self._undecided(seeds)
                candidates = [role for role in candidates if role in undecided or seed + 1 in by_role[role]]
        return Answer.DONE

    def choice(self, trials: Sequence[TrialState]) -> Choice | None:
        """Choose the entry with the highest average over seeds among those that were not dropped."""
        return best_choice(trials)

    def undecided(self, trials: Sequence[TrialState]) -> list[str]:
        """Return the entries that may still be the best one after the last seed; empty if it came to none."""
        last = self._first_replicate + self._most_seeds - 1
        roles = [trial.role for trial in trials if trial.replicate == last]
        return self._undecided({role: [each for each in trials if each.role == role] for role in roles})

    def _undecided(self, seeds: Mapping[str, Sequence[TrialState]]) -> list[str]:
        """Return the entries that may still be the best one, that one included."""
        configurations = ranked(trial for trials in seeds.values() for trial in trials)
        scores = {
            each.name: {trial.replicate: trial.score for trial in each.scored if trial.score is not None}
            for each in configurations
        }
        return [role for role in scores if not self._is_worse(scores[role], scores[configurations[0].name])]

    def _is_worse(self, ours: Mapping[int, float], best: Mapping[int, float]) -> bool:
        difference = paired_difference(ours, best, confidence=self._confidence)
        return difference is not None and difference.mean < 0 and difference.is_clear
