"""Searches that start from the scores of another search, beside searches that start from nothing.

    python benchmarks/transfer.py --wyscout DIR --work DIR [--across matches|epochs] [--runs 3] [--budget 6]

Across matches: a first search trains on 64 matches of England's league, the others on 64 matches of the World
Cup 2018 and the Euro 2016. Across epochs: a first search trains for 12 epochs, the others for 40, all on 64
matches of all competitions. Half of the others have ``--warm-start`` from the first. Their winners are
trained again with fresh seeds, as in ``whole_searches.py``, from which the procedure comes.
"""

import argparse
import json
import zipfile
from collections.abc import Collection
from dataclasses import dataclass, replace
from pathlib import Path

from main_job import Places
from whole_searches import (
    EPOCHS,
    FRESH_SEEDS,
    Procedure,
    report,
    retrained,
    search,
    study_of,
    winners,
    write_study_files,
)

from model.data.layout.description import SPLITS

SOURCE_BUDGET = 12
"""Chunks of the first search, in its whole trainings."""
VALID = 30
"""Validation matches of both data."""
COMPETITIONS = {"england": ("England",), "cups": ("World_Cup", "European_Championship")}
"""Data -> competitions, as the files of matches.zip are called."""
FEW_EPOCHS, MANY_EPOCHS = 12, 40
CHUNKS_PER_EPOCH = {"matches": 320, "epochs": 160}


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


def across_matches(wyscout: Path, work: Path) -> tuple[Places, Places]:
    """Return the data of the first search and of the others: two different sets of matches."""
    england, cups = (
        Matches(only(wyscout, work / f"{name}-matches", competitions), work, name)
        for name, competitions in COMPETITIONS.items()
    )
    return england, cups


def procedures(across: str) -> tuple[Procedure, Procedure, Procedure]:
    """Return the first search, a search from nothing and a search that starts from the first one's scores."""
    few, many = (FEW_EPOCHS, MANY_EPOCHS) if across == "epochs" else (EPOCHS, EPOCHS)
    first = Procedure("first", "botorch", "asha", factor=20, epochs=few)
    nothing = Procedure("nothing", "botorch", "asha", factor=20, epochs=many)
    options = ("--warm-start", study_of(first, SOURCE_BUDGET, 0))
    return first, nothing, replace(nothing, name="warm", options=options)


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--wyscout", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--across", choices=list(CHUNKS_PER_EPOCH), default="matches")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--budget", type=int, default=6, help="chunks of a search, in whole trainings")
    words = parser.parse_args()
    write_study_files(words.work, words.budget, CHUNKS_PER_EPOCH[words.across])
    places = Places(words.wyscout, words.work)
    source, target = (
        across_matches(words.wyscout, words.work) if words.across == "matches" else (places, places)
    )
    first, nothing, warm = procedures(words.across)
    print(f"first search: {len(search(source, first, SOURCE_BUDGET, 0, core=0))} trials", flush=True)
    target.data()  # made once, before two searches want it
    found = winners(target, [nothing, warm], words.budget, words.runs)
    found["scores"] = retrained(target, found, FRESH_SEEDS, nothing.epochs)
    report(found, "nothing, expected score")


if __name__ == "__main__":
    main()
