"""Tags and description of a final's network in MLflow's registry."""

from collections.abc import Sequence
from statistics import fmean

from hpo.journal.events import COMMIT
from hpo.journal.ranking import half_width
from hpo.journal.results import StudyState
from hpo.space.symbols import by_symbol
from hpo.tasks.base.found import best_of_stage
from hpo.tasks.base.registry import score_of
from hpo.tracking.notes import parameter_table
from hpo.tracking.registration import Label
from model.wording import with_interval


def winner_label(state: StudyState, trial: str, dataset: str) -> Label:
    """Describe the network of a trial, the best seed of the configuration that its stage chose."""
    created, stage = state.created, state.trials[trial].stage
    found = best_of_stage(state, stage)
    if found is None:
        raise ValueError(f"stage {stage} has no score")
    score, configuration = score_of(created), found.configuration
    tested = [each.tested[score.metric] for each in configuration.scored if each.tested]
    valid = _mean(configuration.scores, "validation split")
    test = _mean(tested, "test split")
    origin = {"commit": state.versions.get(COMMIT, ""), "data_digest": created.data_digest}
    tags = {
        **{f"hpo.{name}": value for name, value in origin.items() if value},
        "hpo.stage": stage,
        "hpo.trial": trial,
        "hpo.dataset": dataset,
        "hpo.score": valid,
        **({"hpo.test_score": test} if test else {}),
    }
    lines = [
        f"Network of trial `{trial}` of study `{created.study}`, trained on **{dataset}**: the best of "
        f"{len(configuration.scores)} seeds of the configuration `{configuration.name}`.",
        "\n".join(f"- {score.label} {each}" for each in (valid, test) if each),
        "`mlflow.pyfunc.load_model` loads it where this program (hpo) is installed.",
        parameter_table(by_symbol(found.parameters)),
    ]
    return Label(study=created.study, identity=created.identity, tags=tags, description="\n\n".join(lines))


def _mean(scores: Sequence[float], split: str) -> str:
    """Format the mean over seeds, such as ``0.4012 ± 0.0300 (95 %, 4 seeds, test split)``; empty for none."""
    if not scores:
        return ""
    width = half_width(scores)
    seeds = "one seed" if width is None else f"95 %, {len(scores)} seeds"
    return f"{with_interval(fmean(scores), width)} ({seeds}, {split})"
