"""Build both images, run the service of compose.yaml from them, and kill and resume a study in it."""

import argparse
import json
import os
import secrets
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from image_check.buildah import Buildah
from image_check.compose import variable_names
from image_check.engines import (
    CheckError,
    Compose,
    Engine,
    compose_program,
    missing_for_buildah,
    wait_for,
)

NO_ENGINE = 3
"""Exit code if this machine cannot run containers."""
STUDY = "image-check"
TRIALS, EPOCHS = 3, 12
_HEAD = "ray-head"
# Run inside the containers.
_NODES = """
import os, urllib.request
request = urllib.request.Request("http://127.0.0.1:8265/nodes?view=summary")
request.add_header("Authorization", "Bearer " + os.environ["RAY_AUTH_TOKEN"])
print(urllib.request.urlopen(request, timeout=10).read().count(b'"state": "ALIVE"'))
"""
_EVENTS = f"""
import pathlib
print(pathlib.Path("/studies/runs/studies/{STUDY}/journal.jsonl").read_text())
"""
_KILL = f"""
import os, pathlib, signal
for line in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
    try:
        words = line.read_bytes().split(b"\\0")
    except OSError:
        continue
    if words[1:4] == [b"-m", b"hpo", b"run"] and b"{STUDY}" in words:
        os.kill(int(line.parent.name), signal.SIGKILL)
        print("killed")
"""
_RECORDS = f"""
import json
from mlflow import MlflowClient
client = MlflowClient()
experiment = client.get_experiment_by_name("{STUDY}")
runs = client.search_runs([experiment.experiment_id], "tags.`hpo.status` = 'finished'")
trials = [run for run in runs if "mlflow.parentRunId" in run.data.tags]
print(json.dumps({{
    run.info.run_name: [
        run.data.metrics["score"], [file.path for file in client.list_artifacts(run.info.run_id)]
    ]
    for run in trials
}}))
"""


class Clock:
    """Prints how long each step took."""

    def __init__(self) -> None:
        self._began = self._last = time.monotonic()

    def __call__(self, what: str) -> None:
        """Tell that ``what`` is done."""
        now = time.monotonic()
        print(f"{now - self._last:7.1f} s  {what}", flush=True)
        self._last = now

    def total(self) -> None:
        """Print the time of all steps."""
        print(f"{time.monotonic() - self._began:7.1f} s  in all", flush=True)


def main() -> int:
    """Run the check; exit codes: 0 passed, 1 failed, 3 no engine."""
    parser = argparse.ArgumentParser(prog="docker/check.sh", description=__doc__)
    parser.add_argument(
        "folder",
        nargs="?",
        type=Path,
        help="empty folder that keeps the images for the next run (buildah only); default: a temporary one",
    )
    folder: Path | None = parser.parse_args().folder
    with TemporaryDirectory(prefix="hpo-check-") as temporary:
        work = (folder or Path(temporary)).absolute()
        work.mkdir(parents=True, exist_ok=True)
        games = Path(temporary) / "games"
        games.mkdir()
        try:
            engine = chosen_engine(work, filled_variables(games))
            return NO_ENGINE if engine is None else passes(engine)
        finally:
            # Layers of images belong to several users, and some are read-only.
            if folder is None:
                shutil.rmtree(work, ignore_errors=True)
                work.mkdir(exist_ok=True)


def filled_variables(games: Path) -> dict[str, str]:
    """Return a secret for every variable that compose.yaml needs, and the folder of games."""
    secret = {name: secrets.token_hex(16) for name in variable_names()}
    return {**secret, "HPO_DATA_DIR": str(games)}


def chosen_engine(folder: Path, variables: dict[str, str]) -> Engine | None:
    """Return the first engine that works here; without one, say what to install."""
    if program := compose_program():
        print(f"engine: {program} compose")
        return Compose(program, folder, variables)
    if missing := missing_for_buildah():
        print(
            "not run: no docker or podman with compose answers here, and for buildah these are missing: "
            f"{', '.join(missing)}\n  fix: as root, apt-get install buildah debootstrap iproute2 util-linux",
            file=sys.stderr,
        )
        return None
    print("engine: buildah")
    return Buildah(folder, variables)


def passes(engine: Engine) -> int:
    """Run all steps, and stop everything in the end."""
    clock, failure = Clock(), ""
    try:
        engine.build(clock)
        required_of(engine.prepare(["hpo", "data", "synthetic", "--to", "/made/games"]), "games are written")
        clock("image hpo wrote games")
        engine.start(clock)
        wait_for("three nodes of Ray", lambda: nodes(engine) == 3)
        clock("three nodes of Ray")
        check_study(engine, clock)
    except CheckError as error:
        failure = str(error)
    except KeyboardInterrupt:
        failure = "stopped by the user"
    finally:
        engine.stop()
        clock("everything stopped and deleted")
    for remark in engine.remarks:
        print(f"not as in compose.yaml: {remark}")
    clock.total()
    print(f"failed: {failure}" if failure else "passed")
    return 1 if failure else 0


def check_study(engine: Engine, clock: Callable[[str], None]) -> None:
    """Submit a study, kill its driver in the second trial, resume it, and check what was recorded."""
    words = ["--data", "/data/games", "--features", "SYNTHETIC", "--games", "4,2", "--study", STUDY]
    words += ["--trials", str(TRIALS), "--epochs", str(EPOCHS), "--concurrent", "2"]
    submitted = subprocess.Popen(
        engine.within(_HEAD, ["hpo", "submit", "--", "run", "bayes", *words]),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        wait_for("the first finished trial", lambda: finished(engine) or ended(submitted))
        clock("first trial of a submitted study finished")
        killed = engine.execute(_HEAD, ["python", "-c", _KILL]).stdout.split()
        expect(killed == ["killed"], f"expected one driver to kill, got {len(killed)}")
        submitted.wait(timeout=120)
        expect(submitted.returncode != 0, "the job of a killed driver ended with exit code 0")
    finally:
        submitted.kill()
        submitted.communicate()
    before = finished(engine)
    expect(len(before) < TRIALS, "the study had ended before its driver was killed")
    clock(f"driver killed (kill -9) after {len(before)} of {TRIALS} trials")
    resumed = engine.execute(_HEAD, ["hpo", "submit", "--", "resume", STUDY])
    said = required_of(resumed, "the study is resumed")
    expect("missing in MLflow" not in said, f"MLflow lacks records:\n{said}")
    clock("study resumed to its end")
    check_records(engine, before)
    clock(f"{TRIALS} trials in journal and MLflow, none lost or repeated")


def check_records(engine: Engine, before: dict[str, float]) -> None:
    """Check that no trial is lost or repeated, and that MLflow has all with their networks."""
    after = finished(engine)
    expect(len(after) == TRIALS, f"expected {TRIALS} finished trials, got {len(after)}")
    expect(before.items() <= after.items(), f"finished trials changed: before {before}, now {after}")
    reported = [
        (event["trial"], event["epoch"]) for event in events(engine) if event["event"] == "trial-reported"
    ]
    expect(len(set(reported)) == len(reported), "an epoch of a trial was recorded twice")
    told = engine.execute(_HEAD, ["python", "-c", _RECORDS])
    records = json.loads(required_of(told, "MLflow answers").splitlines()[-1])
    expect(
        {name: score for name, (score, _) in records.items()} == after,
        f"the journal has {after}, MLflow {records}",
    )
    expect(all("best.pt" in files for _, files in records.values()), f"networks are missing in {records}")


def events(engine: Engine) -> list[dict[str, Any]]:
    """Return the journal of the study; nothing while there is none."""
    told = engine.execute(_HEAD, ["python", "-c", _EVENTS])
    lines = told.stdout.split("\n") if told.returncode == 0 else []
    return [json.loads(line) for line in lines if line.startswith("{") and line.endswith("}")]


def finished(engine: Engine) -> dict[str, float]:
    """Return the scores of all finished trials in the journal."""
    return {event["trial"]: event["score"] for event in events(engine) if event["event"] == "trial-finished"}


def nodes(engine: Engine) -> int:
    """Return how many nodes Ray's head knows."""
    told = engine.execute(_HEAD, ["python", "-c", _NODES]).stdout.split()
    with suppress(ValueError, IndexError):
        return int(told[-1])
    return 0


def ended(process: "subprocess.Popen[str]") -> bool:
    """Raise an error with the output of a process that has ended too early."""
    if process.poll() is not None:
        raise CheckError(f"the submitted study ended too early:\n{process.communicate()[0][-3000:]}")
    return False


def required_of(done: "subprocess.CompletedProcess[str]", what: str) -> str:
    """Return the output of a command that must have succeeded."""
    expect(done.returncode == 0, f"{what}: exit code {done.returncode}\n{done.stdout}{done.stderr}"[-3000:])
    return done.stdout


def expect(holds: bool, otherwise: str) -> None:
    """Raise an error if something does not hold."""
    if not holds:
        raise CheckError(otherwise)


if __name__ == "__main__":
    os.umask(0o022)
    sys.exit(main())
