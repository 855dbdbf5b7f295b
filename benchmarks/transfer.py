"""Searches that start from the scores of other matches, beside searches that start from nothing.

    python benchmarks/transfer.py --wyscout DIR --work DIR [--runs 3] [--budget 6]

A first search trains on 64 matches of England's league. The others train on 64 matches of the World Cup 2018
and the Euro 2016, half of them with ``--warm-start`` from the first. Their winners are trained again with
fresh seeds, as in ``whole_searches.py``, from which the procedure comes.
"""

import argparse
import json
import zipfile
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from main_job import Places
from whole_searches import Procedure, report, retrained, search, winners, write_study_files

from model.data.description import SPLITS

SOURCE = "england"
SOURCE_BUDGET = 12
"""Chunks of the first search, in whole trainings."""
VALID = 30
"""Validation matches of both data."""
COMPETITIONS = {SOURCE: ("England",), "cups": ("World_Cup", "European_Championship")}
"""Data -> competitions, as the files of matches.zip are called."""
FIRST = Procedure(SOURCE, "botorch", "asha", factor=20)
FROM_NOTHING = Procedure("nothing", "botorch", "asha", factor=20)
WARM = Procedure(
    "warm", "botorch", "asha", factor=20, options=("--warm-start", f"{SOURCE}-{SOURCE_BUDGET}-0")
)


@dataclass(frozen=True)
class Matches(Places):
    """Matches of some competitions, with studies in a folder that all of them share."""

    name: str

    def data(self) -> Path:
        """Return the folder of the converted data; convert them on first use."""
        return Places(self.wyscout, self.work / self.name).data()


def only(source: Path, target: Path, competitions: Collection[str]) -> Path:
    """Write a folder with the files of ``competitions`` only, and splits of their matches."""
    (target / "splits").mkdir(parents=True, exist_ok=True)
    for kind in ("events", "matches"):
        with zipfile.ZipFile(source / f"{kind}.zip") as archive:
            archive.extractall(target, [f"{kind}_{competition}.json" for competition in competitions])
    files = [target / f"matches_{competition}.json" for competition in competitions]
    own = {str(match["wyId"]) for file in files for match in json.loads(file.read_text())}
    lists = {split: (source / "splits" / f"{split}.txt").read_text().split() for split in SPLITS}
    kept = {split: [match for match in matches if match in own] for split, matches in lists.items()}
    while len(kept["valid"]) < VALID:  # of the cups' own there are 25
        kept["valid"].append(kept["test"].pop())
    for split, matches in kept.items():
        (target / "splits" / f"{split}.txt").write_text("\n".join(matches) + "\n")
    return target


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--wyscout", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--budget", type=int, default=6, help="chunks of a search, in whole trainings")
    words = parser.parse_args()
    write_study_files(words.work, words.budget)
    england, cups = (
        Matches(only(words.wyscout, words.work / f"{name}-matches", competitions), words.work, name)
        for name, competitions in COMPETITIONS.items()
    )
    print(f"{SOURCE}: {len(search(england, FIRST, SOURCE_BUDGET, 0, core=0))} trials", flush=True)
    cups.data()
    found = winners(cups, [FROM_NOTHING, WARM], words.budget, words.runs)
    found["scores"] = retrained(cups, found)
    report(found, "nothing, expected score")


if __name__ == "__main__":
    main()
