"""Times that a developer waits for: tests of a clean clone, ``import hpo`` and ``hpo --help``.

Usage:
    python benchmarks/development.py startup
    python benchmarks/development.py tests [--all] [--busy 2]

``startup`` times new processes and prints medians. ``tests`` clones this repository into a temporary folder,
creates a new environment there as the README says and times the README's test command; with ``--all`` it
times ``.ci/run``. ``--busy N`` runs N endless loops at the same time, as on a shared machine.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
COMMANDS = {
    "import hpo": [sys.executable, "-c", "import hpo"],
    "hpo --help": [str(Path(sys.executable).parent / "hpo"), "--help"],
    "hpo run --help": [str(Path(sys.executable).parent / "hpo"), "run", "--help"],
}


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    kinds = parser.add_subparsers(dest="kind", required=True)
    startup = kinds.add_parser("startup")
    startup.add_argument("--runs", type=int, default=20)
    tests = kinds.add_parser("tests")
    tests.add_argument("--all", action="store_true")
    tests.add_argument("--busy", type=int, default=0)
    asked = parser.parse_args()
    if asked.kind == "startup":
        measure_startup(asked.runs)
    else:
        measure_tests(everything=asked.all, busy=asked.busy)


def measure_startup(runs: int) -> None:
    """Print median and range of ``runs`` starts of every command."""
    print(f"{os.cpu_count()} cores, Python {sys.version.split()[0]}, {runs} runs each")
    for name, command in COMMANDS.items():
        times_s = [_seconds(command) for _ in range(runs)]
        print(
            f"{name:<15} median {statistics.median(times_s):.3f} s "
            f"({min(times_s):.3f} to {max(times_s):.3f} s)"
        )


def measure_tests(*, everything: bool, busy: int) -> None:
    """Time the tests of a clean clone; exit with their code."""
    with tempfile.TemporaryDirectory() as folder:
        clone = Path(folder) / "clone"
        subprocess.run(["git", "clone", "--quiet", str(REPOSITORY), str(clone)], check=True)
        shared = REPOSITORY.parent / "shared"
        if shared.is_dir():
            (clone.parent / "shared").symlink_to(shared)
        steps = {".ci/run": ["bash", ".ci/run"]} if everything else _steps_of_the_readme(clone)
        with busy_loops(busy):
            for name, command in steps.items():
                started = time.perf_counter()
                code = subprocess.run(command, cwd=clone, stdin=subprocess.DEVNULL, check=False).returncode
                minutes = (time.perf_counter() - started) / 60
                print(
                    f"{name}: {minutes:.1f} min with {busy} busy loops beside, exit code {code}", flush=True
                )
                if code:
                    sys.exit(code)


def _steps_of_the_readme(clone: Path) -> dict[str, list[str]]:
    """Return the README's test command, split into the installation and the tests."""
    block = (clone / "README.md").read_text().split("<!-- tests -->")[1].split("```sh\n")[1].split("```")[0]
    *install, tests = block.strip().split(" && ")
    return {
        "install": ["bash", "-euc", " && ".join(install)],
        "tests": ["bash", "-euc", tests],
    }


@contextmanager
def busy_loops(count: int) -> Iterator[None]:
    """Keep ``count`` cores busy inside the context."""
    loops = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    try:
        yield
    finally:
        for loop in loops:
            loop.kill()
            loop.wait()


def _seconds(command: Sequence[str]) -> float:
    started = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
