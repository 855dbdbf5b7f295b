"""Fuzzing of all readers of external files, with many more cases than in the tests.

    python benchmarks/fuzz.py [--cases 10000] [TARGET ...]

Runs the files of tests/fuzz one after the other and prints one line per test: cases, seconds, failures. A
target names such a file, such as ``labels`` for test_labels.py. The cases are the same in every run.
"""

import argparse
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1] / "tests" / "fuzz"
NAMED = re.compile(r"^\S+test_\w+\.py::test_(?P<test>\w+):$", re.MULTILINE)
COUNTED = re.compile(r"(?P<passing>\d+) passing, (?P<failing>\d+) failing")
TIMED = re.compile(r"during (?:generate|shrink) phase \((?P<seconds>[\d.]+) seconds\)")


@dataclass(frozen=True)
class Result:
    """Result of one test."""

    target: str
    test: str
    cases: int
    seconds: float
    failures: int


def fuzz(target: str, cases: int) -> Iterator[Result]:
    """Run the tests of one target and yield their results."""
    run = subprocess.run(
        [sys.executable, "-m", "pytest", str(TESTS / f"test_{target}.py"), "--hypothesis-show-statistics"],
        env={**os.environ, "HPO_FUZZ_CASES": str(cases)},
        cwd=TESTS.parents[1],
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    if run.returncode:
        print(run.stdout, file=sys.stderr)
    _, *parts = NAMED.split(run.stdout)
    for test, statistics in zip(parts[::2], parts[1::2], strict=True):
        counts = [tuple(map(int, count.groups())) for count in COUNTED.finditer(statistics)]
        yield Result(
            target=target,
            test=test.replace("_", " "),
            cases=sum(map(sum, counts)),
            seconds=sum(float(phase["seconds"]) for phase in TIMED.finditer(statistics)),
            failures=sum(failing for _, failing in counts),
        )


def main() -> None:
    """Fuzz all targets and print a table."""
    known = sorted(path.stem.removeprefix("test_") for path in TESTS.glob("test_*.py"))
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--cases", type=int, default=10_000)
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=", ".join(known))
    asked = parser.parse_args()
    print("| target | property | cases | seconds | failures |\n|---|---|---|---|---|", flush=True)
    start, failures = time.perf_counter(), 0
    for target in asked.targets or known:
        for result in fuzz(target, asked.cases):
            failures += result.failures
            print(
                f"| {result.target} | {result.test} | {result.cases:,} | {result.seconds:.0f} "
                f"| {result.failures} |",
                flush=True,
            )
    print(f"\ntotal: {time.perf_counter() - start:.0f} s")
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
