"""Duration of ``hpo report``, which writes the page of a study, measured three times with MLflow.

    HPO_RUNS=DIR python benchmarks/report.py STUDY

Prints one line per run. The study of benchmarks/paper_procedure.py has 69 trials.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from hpo.config.environment import read_environment
from hpo.journal.results import stored_state
from hpo.study.folders import chosen_study

RUNS = 3


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("study")
    study = parser.parse_args().study
    state = stored_state(chosen_study(read_environment(), study))
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder) / "report.html"
        for _ in range(RUNS):
            started, worked = time.perf_counter(), os.times()
            command = [sys.executable, "-m", "hpo", "report", study, "--to", str(page)]
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
            now = os.times()
            cpu_s = now.children_user + now.children_system - worked.children_user - worked.children_system
            print(
                f"page of {len(state.trials)} trials in {len(state.stages)} stages: "
                f"{time.perf_counter() - started:.1f} s, {cpu_s:.1f} s of processor time, "
                f"{page.stat().st_size / 1e6:.1f} MB",
                flush=True,
            )


if __name__ == "__main__":
    main()
