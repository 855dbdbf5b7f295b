"""One model of the score beside one model per class, on real trainings.

    python benchmarks/class_models.py [--table FILE] [--draws 30]

The score is the mean of the classes' AP, so a search could fit a process to each class and add them up. Each
draw shows single trainings of some points of benchmarks/trainings.csv.gz to both ways. They predict the mean
score of the other points over all seeds, and name a winner among the points that they have seen, which is
judged by the seeds that they have not seen.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.stats import spearmanr
from trainings import SEEDS, SPACE, TABLE

from hpo.journal.ranking import half_width
from hpo.search.noisy_process import fit_process, predicted
from hpo.search.observations import Observations

Array = npt.NDArray[np.float64]

SIZES = (12, 25, 50)
"""Numbers of points that the models see."""


def read(file: Path) -> tuple[Array, Array]:
    """Return the points, (points, dimensions), and the AP of each class at the best validation.

    The APs have the shape (points, seeds, classes).
    """
    table = pd.read_csv(file)
    table = table[table["stage"] == "bayes"]
    names, classes = list(SPACE.names), [name for name in table.columns if name.startswith("ap/")]
    best = table.loc[table.groupby([*names, "seed"])["average_map"].idxmax()]
    groups = [group for _, group in best.groupby(names, sort=False) if len(group) == SEEDS]
    parameters = [{**group.iloc[0][names].to_dict(), "f": int(group.iloc[0]["f"])} for group in groups]
    points = np.array([SPACE.to_unit(point) for point in parameters])
    return points, np.array([group[classes].to_numpy() for group in groups])


def means(points: Array, scores: Array, noise: float, at: Array) -> Array:
    """Return the means at points of a process that is fitted to single scores with a noise."""
    observed = Observations.of_whole(points, scores)
    return predicted(fit_process(observed, noise=noise), at)[0]


def noise_of(scores: Array) -> float:
    """Return the standard deviation of scores (points, seeds) between the seeds of a point."""
    return float(np.sqrt(scores.var(axis=1, ddof=1).mean()))


def one_draw(points: Array, classes: Array, size: int, seed: int) -> list[list[float]]:
    """Return error, rank correlation and true score of the winner by each of the two ways."""
    generator = np.random.default_rng([seed, size])
    order = generator.permutation(len(points))
    seen, unseen = order[:size], order[size:]
    own = generator.integers(SEEDS, size=size)
    shown = classes[seen, own]
    truth = classes.mean(axis=(1, 2))
    others = (classes[seen].sum(axis=1) - shown).mean(axis=1) / (SEEDS - 1)
    rows = []
    mean = classes.mean(axis=2, keepdims=True)
    for parts in (mean, classes):
        columns = [
            means(points[seen], part[seen, own], noise_of(part), points) for part in np.moveaxis(parts, 2, 0)
        ]
        everywhere = np.mean(columns, axis=0)
        error = float(np.sqrt(np.mean((everywhere[unseen] - truth[unseen]) ** 2)))
        ranks = float(spearmanr(everywhere[unseen], truth[unseen])[0])
        rows.append([error, ranks, float(others[np.argmax(everywhere[seen])])])
    return rows


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--table", type=Path, default=TABLE)
    parser.add_argument("--draws", type=int, default=30)
    arguments = parser.parse_args()
    points, classes = read(arguments.table)
    print(
        f"{len(points)} points, {classes.shape[2]} classes, {arguments.draws} draws; means over the draws\n"
    )
    print("| points seen | model | error | rank correlation | true score of the winner |")
    print("|---|---|---|---|---|")
    for size in SIZES:
        draws = np.array([one_draw(points, classes, size, seed) for seed in range(arguments.draws)])
        for row, name in enumerate(("of the score", "per class")):
            error, ranks, winner = draws[:, row].mean(axis=0)
            print(f"| {size} | {name} | {error:.4f} | {ranks:.2f} | {winner:.4f} |")
        gain = draws[:, 1] - draws[:, 0]
        cells = [f"{np.mean(each):+.4f} ± {half_width(each.tolist()) or 0.0:.4f}" for each in gain.T]
        print(f"| {size} | difference | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    sys.exit(main())
