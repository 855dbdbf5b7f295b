"""Time to write and to read the lines of a long journal.

    python benchmarks/journal.py [--lines 100000] [--repeats 3]

Three of four lines report a validation with 17 class scores, as in a study that validates often. Writing is
measured without the disk, which takes longer and depends on nothing else. Prints seconds of processor time,
the fewest of ``--repeats`` runs.
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from hpo.journal.codec import to_json
from hpo.journal.events import Event, TrialAsked, TrialReported, Value
from hpo.journal.journal import read_journal

Result = TypeVar("Result")


def main() -> None:
    """Write the lines, read them and print how long both took."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--lines", type=int, default=100_000)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    events = [event(number) for number in range(options.lines)]
    lines, write_s = timed(lambda: [to_json(event) for event in events], options.repeats)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        size = (folder / "journal.jsonl").write_text("".join(line + "\n" for line in lines))
        reading, read_s = timed(lambda: read_journal(folder), options.repeats)
    assert len(reading.events) == options.lines
    print(f"{options.lines:,} lines, {size / 1e6:.1f} MB: writing {write_s:.2f} s, reading {read_s:.2f} s")


def event(number: int) -> Event:
    """Return the event of line ``number``."""
    trial = f"bayes-{number // 4:04}"
    if number % 4 == 0:
        parameters: dict[str, Value] = {
            "f": 20,
            "r": 80,
            "alpha2": 5.0 + number,
            "beta": 0.5,
            "lambda_seg": 10.0,
        }
        return TrialAsked(trial=trial, stage="bayes", parameters=parameters, seed=number)
    scores = {f"average_precision/{k}": (number % 997) / 997 + k for k in range(17)}
    metrics = {"average_map": (number % 991) / 991, **scores, "train/loss": 1.5, "valid/loss": 2.5}
    return TrialReported(trial=trial, epoch=number % 4, metrics=metrics, train_s=0.25 * number)


def timed(act: Callable[[], Result], repeats: int) -> tuple[Result, float]:
    """Run ``act`` repeatedly and return its result and the processor seconds of the fastest run."""
    fastest = float("inf")
    for _ in range(repeats):
        started = time.process_time()
        result = act()
        fastest = min(fastest, time.process_time() - started)
    return result, fastest


if __name__ == "__main__":
    main()
