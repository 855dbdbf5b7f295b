"""Several studies at the same time, each with its own driver and Ray, on one MLflow server with PostgreSQL.

    python benchmarks/many_studies.py --work DIR [--studies 8] [--trials 6]

Starts the service of tests/service as plain processes that write into DIR, then all studies, and prints the
number of records in journals and MLflow at the end. Needs the extra ``test`` and PostgreSQL.
"""

import argparse
import os
import subprocess
import sys
import time
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from tempfile import mkdtemp

# In place of the folder of this file, whose name hides that of the tests.
sys.path.pop(0)
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from e2e.command_line import CommandLine
from service.processes import Mlflow, Postgres, answers, wait_for

from hpo.journal.events import TrialFinished, TrialReported
from model.data.synthetic import write_synthetic


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--work", type=Path, required=True, help="folder for data and studies")
    parser.add_argument("--studies", type=int, default=8)
    parser.add_argument("--trials", type=int, default=6)
    options = parser.parse_args()
    folder = Path(mkdtemp(prefix="many-", dir=options.work))
    (folder / "artifacts").mkdir()
    write_synthetic(folder / "data", games={"train": 2, "valid": 1, "test": 1}, dims=16, minutes=20, seed=1)
    names = [f"study-{number}" for number in range(1, options.studies + 1)]
    with ExitStack() as stack:
        server = started_server(folder, stack)
        os.environ |= server.client_variables()
        begun = time.perf_counter()
        here = CommandLine(folder, folder / "data", folder / "cache", server.client_variables())
        running = {name: start(here, name, options.trials) for name in names}
        codes = {name: process.wait() for name, process in running.items()}
        print(f"{options.studies} studies of {options.trials} trials in {time.perf_counter() - begun:.0f} s")
        print(f"exit codes {Counter(codes.values())}")
        for name in names:
            print(f"{name}: {account(here, name)}", flush=True)


def started_server(folder: Path, stack: ExitStack) -> Mlflow:
    """Start an MLflow server with passwords on PostgreSQL."""
    postgres = Postgres()
    postgres.make(stack)
    postgres.start(stack)
    server = Mlflow(postgres, folder / "artifacts")
    process = server.start(folder, stack)
    wait_for("MLflow", lambda: answers(f"{server.address}/health") == b"OK", [process])
    return server


def start(here: CommandLine, name: str, trials: int) -> "subprocess.Popen[bytes]":
    """Start one study, with its output in its own folder."""
    own = CommandLine(here.folder / name, here.data, here.cache, here.variables)
    own.folder.mkdir()
    return own.start(*own.study(name, "--searcher", "random", "--trials", str(trials)))


def account(here: CommandLine, name: str) -> str:
    """Describe the records of a study in its journal and in MLflow."""
    from mlflow import MlflowClient

    own = CommandLine(here.folder / name, here.data, here.cache, here.variables)
    finished = {event.trial for event in own.events(name) if isinstance(event, TrialFinished)}
    reports = sum(isinstance(event, TrialReported) for event in own.events(name))
    client = MlflowClient()
    experiment = client.get_experiment_by_name(name)
    assert experiment is not None
    runs = client.search_runs([experiment.experiment_id], "tags.`hpo.status` = 'finished'", max_results=1000)
    trials = [run for run in runs if "mlflow.parentRunId" in run.data.tags]
    logged = sum(len(client.get_metric_history(run.info.run_id, "average_map")) for run in trials)
    return (
        f"finished trials {len(finished)} in the journal, {len(trials)} in MLflow; "
        f"validations {reports} and {logged}"
    )


if __name__ == "__main__":
    main()
