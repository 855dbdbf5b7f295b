"""Verdict about a study in one sentence: configuration, score with its interval, gain over the start."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from statistics import fmean

from hpo.config.stages import SEARCH
from hpo.journal.continuing import resume_command, run_command
from hpo.journal.events import Value
from hpo.journal.paired import PairedDifference, paired_difference
from hpo.journal.ranking import GRID, configuration_key, half_width
from hpo.journal.results import StudyState
from hpo.journal.roles import scores_by_role, test_scores_by_role
from hpo.programs.grid import START
from hpo.report.trial_tables import describe_settings
from hpo.study.configurations.finalists import OWN, undecided_in_words
from hpo.study.plan import StudyPlan
from hpo.tasks.base.found import Found, found_configuration
from hpo.tasks.base.registry import description_of, score_of
from model.wording import with_interval


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasuredScore:
    """Scores of one configuration on one split, with different seeds."""

    split: str
    """``test`` or ``validation``."""
    by_replicate: Mapping[int, float]
    """Number of the seed -> score."""

    @property
    def mean(self) -> float:
        """Mean over the seeds."""
        return fmean(self.by_replicate.values())

    @property
    def text(self) -> str:
        """Mean with interval, such as ``0.4010 ± 0.0300 on the test split (95 %, 4 seeds)``."""
        width, seeds = half_width(list(self.by_replicate.values())), len(self.by_replicate)
        counted = "one seed, no interval" if width is None else f"95 %, {seeds} seeds"
        return f"{with_interval(self.mean, width)} on the {self.split} split ({counted})"


@dataclass(frozen=True, slots=True)
class Reference:
    """Configuration that a stage trains beside what it found, with the same seeds."""

    role: str
    name: str
    found_by: str
    """Stage that looked for a better one, in words."""


GRID_START = Reference(START, "the configuration that the grid started from", "the grid")


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Result of a study."""

    found: Found
    score: MeasuredScore
    """Score of the configuration on the test split, if it was measured, else on the validation split."""
    reference: Reference
    """Configuration of the comparison."""
    gain: PairedDifference | None
    """Score minus that of the reference with the same seeds; None if not measured."""
    undecided: str
    """Names, in words, of configurations that a final could not tell apart; empty where it has decided."""
    compared: Mapping[str, Value]
    """Values that the sentence leaves out; it shows what differs from them."""
    is_reference: bool
    """Whether the best is the reference itself."""
    label: str
    """Name of the score."""
    comparing: str
    """Command that compares it with the study file's own configuration; empty if there is none."""

    @property
    def configuration(self) -> str:
        """Name of the configuration: its role, or its trial in a search."""
        return self.found.configuration.name

    @property
    def parameters(self) -> Mapping[str, Value]:
        """Hyperparameters that were chosen."""
        return self.found.parameters

    @property
    def sentence(self) -> str:
        """The verdict in one sentence."""
        trial = replace(self.found.configuration.trials[0], role="")
        values = describe_settings(trial, self.compared).replace("  ", ", ") if self.shown else ""
        named = f"{self.configuration}{' with ' if values else ''}{values}"
        undecided = f"; {self.undecided}" if self.undecided else ""
        return f"{named} reaches {self.label} {self.score.text}; {self._gain_text}{undecided}."

    @property
    def shown(self) -> Mapping[str, Value]:
        """Hyperparameters of the configuration that tell it from others; none where nothing was varied."""
        own = self.found.configuration.parameters
        return {name: value for name, value in own.items() if self.compared.get(name) != value}

    @property
    def _gain_text(self) -> str:
        reference, by = self.reference.name, self.reference.found_by
        if self.is_reference:
            found = "found" if self.found.has_ended else "has so far found"
            return f"{by} {found} nothing better than {reference}"
        if self.gain is None:
            compare = f" (compare with: {self.comparing})" if self.comparing else ""
            return f"not compared with {reference} over seeds, so chance may explain its lead{compare}"
        difference, against = f"{self.gain.mean:+.4f}", f"against {reference}"
        if self.gain.pairs < 2:
            return (
                f"{difference} {against} with a single common seed, too few to judge the noise between seeds"
            )
        difference += f" ± {self.gain.half_width:.4f} (95 %, {self.gain.pairs} paired seeds) {against}"
        if not self.gain.is_clear:
            return f"{difference}, which seed noise alone can explain"
        if self.gain.mean < 0:
            return f"{difference}: the loss is larger than seed noise explains"
        return f"{difference}: the improvement is larger than seed noise explains"


def verdict(plan: StudyPlan, state: StudyState, cluster: str | None = None) -> Verdict | None:
    """Return what a study with this plan found; None while no trial has a score.

    ``cluster`` is the address of the Ray cluster that trains the study, which the command of the next
    comparison gets.
    """
    found = found_configuration(state)
    if found is None:
        return None
    trials = state.trials_of(found.stage.stage)
    metric, label = score_of(state.created).metric, score_of(state.created).label
    tested = test_scores_by_role(trials, metric)
    name = found.configuration.name
    by_role, split = (tested, "test") if tested.get(name) else (scores_by_role(trials), "validation")
    replicates = {
        trial.replicate: trial.score for trial in found.configuration.scored if trial.score is not None
    }
    scores = by_role[name] if split == "test" else replicates
    is_start = _is_start_of_grid(found)
    has_grid_start = is_start or (START in by_role and OWN not in by_role)
    reference = GRID_START if has_grid_start else _study_file(plan, state, found)
    role = reference.role
    return Verdict(
        found=found,
        score=MeasuredScore(split=split, by_replicate=scores),
        reference=reference,
        gain=paired_difference(scores, by_role[role]) if role in by_role and name != role else None,
        undecided=undecided_in_words(found.stage.stage, state),
        compared=_values_left_out(found, state, role),
        is_reference=is_start or name == role or _is_in_study_file(found.configuration.parameters, state),
        label=label,
        comparing=_comparing_command(state, cluster) if found.decides else "",
    )


def _study_file(plan: StudyPlan, state: StudyState, found: Found) -> Reference:
    """Return the study file's own configuration, under the role with which the stage trains it."""
    stage = found.stage.stage
    by = "the search" if found.decides and SEARCH in state.stages else f"the stage {stage}"
    named = {trial.role: trial for trial in state.trials_of(stage) if trial.role not in ("", GRID)}
    role = OWN
    if named and OWN not in named:  # the import of the task, which knows it, takes a moment
        own = configuration_key(plan.own_configuration())
        same = (role for role, trial in named.items() if configuration_key(trial.parameters) == own)
        role = next(same, OWN)
    return Reference(role, "the study file's own configuration", by)


def _values_left_out(found: Found, state: StudyState, reference: str) -> Mapping[str, Value]:
    """Return the values that say nothing about the found configuration.

    They are those of the reference. Where that is the configuration itself, or was not trained, they are
    those that the compared configurations share; of a single one, those that the search did not vary. A point
    of a search has none, a point of a grid those of its start.
    """
    best, trials = found.configuration, state.trials_of(found.stage.stage)
    named = {trial.role: trial.parameters for trial in trials if trial.role not in ("", GRID)}
    if reference in named and best.name != reference:
        return named[reference]
    if best.name not in named:
        return found.stage.start
    others = [parameters for role, parameters in named.items() if role != best.name]
    searched = state.stages[SEARCH].space if SEARCH in state.stages else ()
    return {
        name: value
        for name, value in best.parameters.items()
        if all(other.get(name) == value for other in others) and (others or name not in searched)
    }


def _is_start_of_grid(found: Found) -> bool:
    """Return whether the best point of a grid that has not ended is the one it started from."""
    best = found.configuration
    is_grid = all(trial.role == GRID for trial in best.trials)
    return is_grid and configuration_key(best.parameters) == configuration_key(found.stage.start)


def _comparing_command(state: StudyState, cluster: str | None) -> str:
    """Return the command of the final, which trains what the deciding stages have found.

    A final that has ended lacks a comparison only where trials failed, which can be trained again.
    """
    study = state.created.study
    if "final" not in description_of(state.created).procedure:
        return ""
    if "final" in state.pending:
        return resume_command(study, cluster=cluster)
    if "final" in state.stages:
        has_failed = bool(state.failed_trials("final"))
        return resume_command(study, "--retry-failed", cluster=cluster) if has_failed else ""
    return run_command("final", "--study", study, cluster=cluster)


def _is_in_study_file(parameters: Mapping[str, Value], state: StudyState) -> bool:
    """Return whether a search varied ``parameters`` and came back to the values of the study file."""
    own = state.created.plan["study"].get("hyperparameters", {})
    return bool(parameters) and parameters.items() <= own.items()
