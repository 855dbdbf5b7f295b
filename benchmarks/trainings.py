"""Real trainings on the open Wyscout matches, as a table on which searches can be replayed without training.

    python benchmarks/trainings.py --wyscout DIR --work DIR [--points 300] [--table FILE] [--only-table]

Trains a Sobol design over the five hyperparameters of the search and the grid of the zones, three seeds each,
on 40 training and 20 validation matches with 16 validations a training, as a study of ``hpo`` for the design
and one for each seed of the zones. There each training changes the zones of all classes at once. Stop it with
Ctrl-C and start it again: it goes on where it was. Writes one row per validation of each training that has
ended.

The folder of ``--wyscout`` contains events.zip, matches.zip and splits/. All other files are written into the
folder of ``--work``.
"""

import argparse
import contextlib
import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import tomli_w
from main_job import Places

from hpo.journal.ranking import GRID
from hpo.journal.results import stored_state
from hpo.journal.trial_state import TrialStatus
from hpo.search.design import quasi_random_points
from hpo.space.parameters import FloatParameter, IntParameter
from hpo.space.space import Space

FILE = "trainings.toml"
SEEDS = 3
DESIGN, ZONES = "bayes", [f"zones-{seed}" for seed in range(SEEDS)]
"""Names of the studies."""
TABLE = Path(__file__).parent / "trainings.csv.gz"
SPACE = Space(
    [
        IntParameter("f", 4, 32, log=True),
        FloatParameter("r_s", 10.0, 60.0, log=True),
        FloatParameter("alpha2", 0.5, 50.0, log=True),
        FloatParameter("beta", 0.05, 5.0, log=True),
        FloatParameter("lambda_seg", 0.05, 15.0, log=True),
    ]
)
"""Space of the search, as in benchmarks/paper_procedure.py."""
TRAINING = {
    "epochs": 16,
    "validate_every": 1,
    "sampler": "balanced",
    "chunks_per_epoch": 320,
    "precision": "bfloat16",
}
ZONES_S = {"K1_s": [-40, -20], "K2_s": [-10, -5], "K3_s": [5, 10, 20, 40, 60], "K4_s": [70, 90, 120]}
"""Grid of the zones: 60 points of each class."""


def study_file(points: int) -> dict[str, object]:
    """Return the content of the study file for a design of ``points`` points."""
    search = {
        "searcher": "random",
        "scheduler": "none",  # every training counts, also those that a search would stop
        "trials": points,
        "replicates": SEEDS,
        "own_first": False,
        "space": SPACE.describe(),
    }
    grid = {"replicates": 1, "seeds": 1, "grid": {"default": ZONES_S}}
    return {"task": "calf", "training": TRAINING, "stages": {"bayes": search, "grid-slicing": grid}}


def design(points: int) -> pd.DataFrame:
    """Return the first ``points`` points of the design; more points begin with the same ones."""
    on_cube = quasi_random_points(SPACE.dimensions, seed=0, count=points)
    return pd.DataFrame([SPACE.from_unit(point) for point in on_cube])


def hpo(places: Places, *words: str) -> None:
    """Run a command of the project."""
    variables = {"HPO_RUNS": str(runs(places)), "HPO_CACHE": str(places.work / "cache")}
    done = subprocess.run([sys.executable, "-m", "hpo", *words], env={**os.environ, **variables}, check=False)
    if done.returncode:
        sys.exit(done.returncode)


def runs(places: Places) -> Path:
    """Return the folder of studies."""
    return places.work / "trainings"


def train(places: Places, study: str, stage: str, *words: str) -> None:
    """Run a stage as a study of its own, or go on with it."""
    if (runs(places) / "studies" / study).is_dir():
        return hpo(places, "resume", study)
    data = ("--data", str(places.data()), "--features", "EVENTS", "--games", "40,20")
    hpo(places, "run", stage, *data, "--study", study, "--study-file", str(places.work / FILE), *words)


def table(places: Places) -> pd.DataFrame:
    """Return one row per validation of all trainings that have ended."""
    parts = [validations(runs(places) / "studies" / DESIGN)]
    for seed, study in enumerate(ZONES):
        parts.append(validations(runs(places) / "studies" / study).assign(seed=seed))
    return pd.concat(parts, ignore_index=True)


def validations(folder: Path) -> pd.DataFrame:
    """Return the validations of a study with the hyperparameters of their trainings; none without a study."""
    trials = stored_state(folder).trials.values() if folder.is_dir() else ()
    ended = [trial for trial in trials if trial.status is TrialStatus.FINISHED and trial.role in ("", GRID)]
    return pd.DataFrame(
        [
            {
                "stage": trial.stage,
                "training": trial.trial,
                "seed": trial.replicate,
                **trial.parameters,
                "epoch": epoch,
                "average_map": report.metrics["average_map"],
                **{name: value for name, value in report.metrics.items() if name.startswith("ap/")},
                "train_s": round(report.train_s, 2),
            }
            for trial in ended
            for epoch, report in sorted(trial.reports.items())
        ]
    )


def main() -> None:
    """Train what is missing and write the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--wyscout", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--points", type=int, default=300)
    parser.add_argument("--table", type=Path, default=TABLE)
    parser.add_argument("--only-table", action="store_true", help="write what was trained so far")
    words = parser.parse_args()
    places = Places(words.wyscout, words.work)
    if not words.only_table:
        words.work.mkdir(parents=True, exist_ok=True)
        (words.work / FILE).write_text(tomli_w.dumps(study_file(words.points)))
        tried = words.work / "design.csv"
        design(words.points).to_csv(tried, index=False)
        train(places, DESIGN, "bayes", "--try", str(tried))
        for seed, study in enumerate(ZONES):
            train(places, study, "grid-slicing", "--from", "paper", "--seed", str(seed))
    written = table(places)
    written.to_csv(words.table, index=False, float_format="%.5g")
    print(f"{words.table}: {written['training'].nunique()} trainings, {len(written)} validations")


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):  # the study has said how to go on
        main()
