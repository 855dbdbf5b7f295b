"""A study on the whole service: submitted, recorded, lost sight of, stopped and gone on with."""

import base64
import os
import re
import signal
import socket
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest
from e2e.command_line import kill_group
from e2e.processes import ray_processes
from faults.study import TRIAL
from service.conftest import Service
from service.processes import Process, answers, free_port, wait_for
from waiting import wait_until

from hpo.journal.events import Event, StudyInterrupted, TrialFinished, TrialReported, TrialStarted
from hpo.journal.journal import read_journal
from hpo.study.devices import available_cpus

pytestmark = [pytest.mark.service, pytest.mark.slow]

ROOT = Path(__file__).parents[2]
ONE_FILE = """
import hpo

def validate(parameters, seed, report):
    return parameters["x"]

TASK = hpo.function_task(validate, space={"x": (0.0, 1.0)}, own={"x": 0.5})
"""
ROUGH_EPOCHS = 24
"""So many that neither trial ends before the other has begun and the data base is gone."""


def submit(service: Service, *words: str) -> list[str]:
    return ["submit", "--address", service.cluster.dashboard, *words]


def events(service: Service, study: str) -> list[Event]:
    folder = service.cluster.folder / "runs" / "studies" / study
    return list(read_journal(folder).events) if (folder / "journal.jsonl").exists() else []


def epochs(service: Service, study: str, trial: str) -> int:
    """How many validations of a trial the journal has."""
    whole = events(service, study)
    return sum(isinstance(event, TrialReported) and event.trial == trial for event in whole)


def trainers(worker: Process) -> list[int]:
    """Processes of a node that train; Ray calls them by one name or the other."""
    return ray_processes(worker.pid, TRIAL, "TrialTrainable")


def files(*folders: Path) -> Iterator[Path]:
    return (path for folder in folders for path in folder.rglob("*") if path.is_file())


def test_a_submitted_study_is_recorded_on_the_server_and_shows_no_secret(
    service: Service, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from mlflow import MlflowClient

    words = service.hpo.study("one", "--concurrent", "2", "--searcher", "random")
    done = service.hpo.run(*submit(service, "--", *words))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Best configurations" in done.stdout
    scores = {
        event.trial: event.score for event in events(service, "one") if isinstance(event, TrialFinished)
    }
    assert len(scores) == 4

    for name, value in service.mlflow.client_variables().items():
        monkeypatch.setenv(name, value)
    client = MlflowClient()
    experiment = client.get_experiment_by_name("one")
    assert experiment is not None
    runs = client.search_runs([experiment.experiment_id], "tags.`hpo.status` = 'finished'")
    trials = {str(run.info.run_name): run for run in runs if "mlflow.parentRunId" in run.data.tags}
    assert {name: run.data.metrics["score"] for name, run in trials.items()} == pytest.approx(scores)
    best = trials[max(scores, key=lambda trial: scores[trial])]
    kept = Path(client.download_artifacts(best.info.run_id, "best.pt", str(tmp_path)))
    own = service.cluster.folder / "runs" / "studies" / "one" / "trials" / str(best.info.run_name)
    assert kept.read_bytes() == (own / "best.pt").read_bytes()

    secrets = [service.mlflow.password, service.mlflow.postgres.password, service.cluster.token]
    shown = done.stdout + done.stderr + str([run.to_dictionary() for run in runs])
    job = answers(
        f"{service.cluster.dashboard}/api/jobs/", {"Authorization": f"Bearer {service.cluster.token}"}
    )
    assert job is not None and b"run bayes" in job
    folders = [service.cluster.folder / name for name in ("runs", "artifacts", "here")]
    for secret in secrets:
        assert secret not in shown
        assert secret.encode() not in job
        assert [path for path in files(*folders) if secret.encode() in path.read_bytes()] == []


def test_health_check_of_mlflow_tells_life_from_death(service: Service) -> None:
    assert service.mlflow.is_healthy(service.mlflow.port)
    assert not service.mlflow.is_healthy(free_port())


@pytest.mark.parametrize("node", ["ray-head", "ray-worker"])
def test_health_checks_of_rays_nodes_pass_while_the_head_answers(service: Service, node: str) -> None:
    # Of a head that is away Ray's own check tells after half a minute; the container's is ended before.
    assert service.cluster.is_healthy(node, service.cluster.port)


def test_mlflow_answers_who_has_the_password_and_calls_it_by_its_name(service: Service) -> None:
    experiments = f"{service.mlflow.address}/api/2.0/mlflow/experiments/search?max_results=1"
    password = base64.b64encode(f"admin:{service.mlflow.password}".encode()).decode()
    entitled = {"Authorization": f"Basic {password}"}
    assert answers(experiments, entitled) is not None
    assert answers(experiments) is None
    assert answers(experiments, {**entitled, "Host": "elsewhere.example"}) is None


def test_a_study_outlives_the_one_who_sent_it_and_goes_on_after_a_stop(service: Service) -> None:
    epochs = 36  # still training when the stop arrives, also on a machine that has other work
    words = service.hpo.study("long", "--concurrent", "2", "--trials", "2", "--epochs", str(epochs))
    terminal = service.hpo.start(*submit(service, "--", *words))
    wait_until(lambda: any(isinstance(event, TrialReported) for event in events(service, "long")))
    kill_group(terminal, signal.SIGKILL)
    told = (service.hpo.folder / "output.txt").read_text()
    found = re.search(r"--attach (hpo-[0-9a-f]+)", told)
    assert found, told
    job = found[1]
    before = len(events(service, "long"))
    wait_until(lambda: len(events(service, "long")) > before)

    # The trials stand still meanwhile, so that enough of them is left to stop.
    training = [number for worker in service.workers for number in trainers(worker)]
    for process in training:
        os.kill(process, signal.SIGSTOP)
    terminal = service.hpo.start(*submit(service, "--attach", job))
    output = service.hpo.folder / "output.txt"
    wait_until(lambda: f"stage bayes: 2 trials at most, {epochs} epochs each" in output.read_text())
    for process in training:
        os.kill(process, signal.SIGCONT)
    stopped = service.hpo.run(*submit(service, "--stop", job))
    assert (stopped.returncode, stopped.stdout) == (0, f"{job} stopped\n")
    assert terminal.wait(timeout=60) == 130
    assert "stopped; resume with: hpo resume long" in output.read_text()
    listed = service.hpo.run(*submit(service, "--list")).stdout
    assert re.search(rf"{job} +stopped +.*run bayes .*--study long", listed)

    resumed = service.hpo.run(*submit(service, "--", "resume", "long"))
    assert resumed.returncode == 0, resumed.stdout + resumed.stderr
    whole = events(service, "long")
    assert sum(isinstance(event, StudyInterrupted) for event in whole) == 1
    assert sorted(event.trial for event in whole if isinstance(event, TrialFinished)) == [
        "bayes-0001",
        "bayes-0002",
    ]
    reported = Counter((event.trial, event.epoch) for event in whole if isinstance(event, TrialReported))
    assert set(reported.values()) == {1} and len(reported) == 2 * epochs


def test_a_task_of_one_file_travels_with_its_study_and_continues_there(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    (service.hpo.folder / "in_one_file.py").write_text(ONE_FILE)
    (service.hpo.folder / "in_one_file.toml").write_text('task = "in_one_file"\n')
    monkeypatch.setitem(service.hpo.variables, "PYTHONPATH", f"{service.hpo.folder}{os.pathsep}{ROOT}")
    words = ["run", "bayes", "--study-file", "./in_one_file.toml", "--study", "own", "--concurrent", "2"]
    done = service.hpo.run(*submit(service, "--", *words, "--trials", "2"))
    assert done.returncode == 0, done.stdout + done.stderr
    assert sum(isinstance(event, TrialFinished) for event in events(service, "own")) == 2
    resumed = service.hpo.run(*submit(service, "--task", "in_one_file", "--", "resume", "own"))
    assert resumed.returncode == 0, resumed.stdout + resumed.stderr


def test_the_driver_stays_here_and_its_trials_go_to_the_cluster(service: Service) -> None:
    # The nodes have another version installed, which fails: the code of this machine must have been sent.
    words = service.hpo.study("here", "--trials", "2", "--ray-address", f"127.0.0.1:{service.cluster.port}")
    if available_cpus() > 1:
        # Here it would fit; of the cluster's nodes none has more than one core.
        refused = service.hpo.run(*words, "--concurrent", "1")
        assert refused.returncode == 2
        assert "the largest node of the cluster has 1" in refused.stderr
        assert "Traceback" not in refused.stderr
    # A study of another name: the one that was refused exists.
    words[words.index("here")] = "there"
    done = service.hpo.run(*words, "--concurrent", str(available_cpus()))
    assert done.returncode == 0, done.stderr
    assert len(service.hpo.best("there")) == 2


def test_videos_are_extracted_on_the_nodes(service: Service, tmp_path: Path) -> None:
    pytest.importorskip("av", reason="the extra features is not installed")
    from generated_video import own_network, picture_of, steady, write_video

    network, lines = own_network(tmp_path / "own.pt"), ["game,part,video,split"]
    for name, first, split in (("one", 0, "train"), ("two", 1000, "train"), ("three", 2000, "valid")):
        # A number changes in every picture, so that no feature has another one's value.
        write_video(
            tmp_path / f"{name}.mp4",
            steady(60),
            picture=lambda number, first=first: picture_of(first + number),
        )
        lines.append(f"{name},1,{name}.mp4,{split}")
    (tmp_path / "games.csv").write_text("\n".join(lines))
    extract = [
        "data",
        "extract",
        "--games",
        str(tmp_path / "games.csv"),
        "--model",
        str(network),
        "--dims",
        "2",
    ]
    cluster = ["--ray-address", f"127.0.0.1:{service.cluster.port}"]
    here, there = tmp_path / "here", tmp_path / "there"
    assert service.hpo.run(*extract, "--to", str(here)).returncode == 0
    done = service.hpo.run(*extract, "--to", str(there), *cluster)
    assert done.returncode == 0, done.stderr
    assert "15 frames computed" in done.stdout
    features = sorted(path.relative_to(here) for path in here.rglob("*.npy"))
    assert len(features) == 6
    for path in features:
        assert np.allclose(np.load(there / path), np.load(here / path), atol=1e-2)
    write_video(tmp_path / "whole.mkv", steady(250), picture=picture_of)
    content = (tmp_path / "whole.mkv").read_bytes()
    (tmp_path / "two.mp4").write_bytes(content[: len(content) // 2])  # it opens, and ends too early
    refused = service.hpo.run(*extract, "--to", str(tmp_path / "again"), *cluster)
    assert refused.returncode == 2 and "Traceback" not in refused.stderr
    assert "two.mp4" in refused.stderr and "the usable pictures end after" in refused.stderr
    assert re.search(r"node: +\S", refused.stderr)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--attach", "hpo-none"], "has no job 'hpo-none'"),
        (["--stop", "hpo-none"], "has no job 'hpo-none'"),
        (["--", "run", "bayes", "--data", "/nowhere"], "no such data folder: /nowhere"),
        (["--", "best", "one"], "only run and resume can be submitted, got 'best'"),
        (["--", "run", "bayes", "--try=points.csv"], "the file of --try is not sent to the cluster"),
    ],
)
def test_mistake_is_one_clear_error(service: Service, words: list[str], said: str) -> None:
    answer = service.hpo.run(*submit(service, *words))
    assert answer.returncode == 2, answer.stdout + answer.stderr
    assert said in answer.stdout + answer.stderr
    assert "Traceback" not in answer.stdout + answer.stderr


def test_a_wrong_token_is_one_clear_error(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(service.hpo.variables, "RAY_AUTH_TOKEN", "wrong" * 8)
    answer = service.hpo.run(*submit(service, "--list"))
    assert answer.returncode == 2
    assert "needs a token, which is missing or wrong" in answer.stderr
    assert "Traceback" not in answer.stderr


def experiments(service: Service, patch: pytest.MonkeyPatch) -> set[str]:
    """Return the names of all experiments in MLflow, deleted ones included."""
    from mlflow import MlflowClient
    from mlflow.entities import ViewType

    for name, value in service.mlflow.client_variables().items():
        patch.setenv(name, value)
    return {str(found.name) for found in MlflowClient().search_experiments(view_type=ViewType.ALL)}


def test_a_node_that_does_not_see_the_data_is_named_before_any_trial_or_fetches_a_copy(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    if os.getuid() != 0:
        pytest.skip("only root can hide a folder from one process")
    hidden = service.cluster.folder / "cache"
    hidden.mkdir(exist_ok=True)
    hiding = ["unshare", "--mount", "sh", "-c", 'mount -t tmpfs none "$0" && exec "$@"', str(hidden)]
    with ExitStack() as stack:
        blind = service.cluster.start_worker("ray-worker-blind", stack, inside=hiding)
        wait_for("the third worker", lambda: service.cluster.nodes() == 4, [blind])
        words = service.hpo.study("unseen", "--concurrent", "2", "--trials", "2")
        refused = service.hpo.run(*submit(service, "--", *words))
        assert refused.returncode == 2, refused.stdout
        assert f"cannot read the data in {hidden}" in refused.stdout
        assert "set HPO_CACHE to a folder that all nodes share" in refused.stdout
        assert "Traceback" not in refused.stdout
        assert not any(isinstance(event, TrialReported) for event in events(service, "unseen"))
        assert "unseen" not in experiments(service, monkeypatch)

        # From a URI it fetches its own copy, and trains.
        words = service.hpo.study("fetched", "--concurrent", "3", "--trials", "3", "--epochs", "1")
        place = words.index("--data")
        words[place : place + 2] = ["--data-uri", service.hpo.data.as_uri()]
        done = service.hpo.run(*submit(service, "--", *words))
        assert done.returncode == 0, done.stdout + done.stderr
        assert list(Path(f"/proc/{blind.pid}/root{hidden}").glob("copies/*/synthetic/train/*/*.npy"))
        assert sum(isinstance(event, TrialFinished) for event in events(service, "fetched")) == 3


def test_what_a_data_base_and_a_node_take_with_them_is_not_lost(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = service.hpo.study("rough", "--concurrent", "2", "--trials", "2", "--epochs", str(ROUGH_EPOCHS))
    terminal = service.hpo.start(*submit(service, "--", *words, "--searcher", "random"))
    trials = ("bayes-0001", "bayes-0002")
    wait_until(lambda: all(epochs(service, "rough", trial) for trial in trials))
    service.database.kill()
    before = {trial: epochs(service, "rough", trial) for trial in trials}
    wait_until(lambda: all(epochs(service, "rough", trial) > before[trial] for trial in trials))

    # The trials stand still until the third node has one: else the other's process would take it, when done.
    stopped = [number for worker in service.workers for number in trainers(worker)]
    assert len(stopped) == 2
    for process in stopped:
        os.kill(process, signal.SIGSTOP)
    joining = service.cluster.start_worker("ray-worker-3", service.stack)
    service.database = service.mlflow.postgres.start(service.stack)
    wait_for("the third worker", lambda: service.cluster.nodes() == 4, [joining])
    left = service.workers.pop()
    service.workers.append(joining)
    left.kill()
    output = service.hpo.folder / "output.txt"
    wait_until(lambda: bool(trainers(joining)) or terminal.poll() is not None)
    assert trainers(joining), output.read_text()
    os.kill(stopped[0], signal.SIGCONT)
    assert terminal.wait(timeout=240) == 0
    assert "missing in MLflow" not in output.read_text()
    assert "died; the trial resumes from its checkpoint" in output.read_text()

    whole = events(service, "rough")
    reported = Counter((event.trial, event.epoch) for event in whole if isinstance(event, TrialReported))
    assert reported == Counter((trial, epoch) for trial in trials for epoch in range(1, ROUGH_EPOCHS + 1))
    assert Counter(event.trial for event in whole if isinstance(event, TrialFinished)) == Counter(trials)
    # A second event of each start names the node, which the driver does not know at first.
    starts = Counter(event.trial for event in whole if isinstance(event, TrialStarted) and not event.host)
    assert {event.host for event in whole if isinstance(event, TrialStarted)} == {"", socket.gethostname()}
    [moved] = [trial for trial, count in starts.items() if count == 2]
    assert starts.total() == 3
    # Trained again in one piece, from what the data base holds: no validation is missing or another.
    for name, value in service.mlflow.client_variables().items():
        monkeypatch.setitem(service.hpo.variables, name, value)
    again = service.hpo.run("reproduce", f"rough/{moved}")
    said = f"equal: all metrics of {ROUGH_EPOCHS} validations are the same to the last bit"
    assert said in again.stdout, again
