"""What a person keeps secret in the environment is in nothing that a study writes or prints."""

from dataclasses import replace
from pathlib import Path

import pytest
from e2e.command_line import CommandLine
from notification_server import notification_server

SECRET = "Pl4nted-s3cret"
SECRETS = {
    "MLFLOW_TRACKING_PASSWORD": f"{SECRET}-1",
    "MLFLOW_TRACKING_TOKEN": f"{SECRET}-2",
    "AWS_SECRET_ACCESS_KEY": f"{SECRET}-3",
    "AWS_SESSION_TOKEN": f"{SECRET}-4",
    "HF_TOKEN": f"{SECRET}-5",
    "PGPASSWORD": f"{SECRET}-6",
}
# Nobody listens on port 1.
UNREACHABLE = f"http://tuner:{SECRET}@127.0.0.1:1"


def files_with_secrets(*folders: Path) -> list[Path]:
    """Files that hold a secret, whatever their kind; MLflow's SQLite file and its journal among them."""
    files = [file for folder in folders for file in folder.rglob("*") if file.is_file()]
    assert files
    return [file for file in files if SECRET.encode() in file.read_bytes()]


@pytest.mark.slow
def test_study_recorded_in_the_default_store_holds_no_secret(hpo: CommandLine) -> None:
    words = hpo.study("mine", "--trials", "2", "--searcher", "random")
    done = replace(hpo.apart, variables=SECRETS).run(*words)
    assert done.returncode == 0, done.stderr
    questions = (["status"], ["best", "--json"], ["reproduce", "mine/bayes-0001"])
    told = [replace(hpo, variables=SECRETS).run(*words) for words in questions]
    assert all(SECRET not in answer.stdout + answer.stderr for answer in [done, *told])
    assert files_with_secrets(hpo.folder, hpo.cache) == []


@pytest.mark.slow
def test_study_whose_server_is_down_prints_and_writes_no_password(hpo: CommandLine) -> None:
    words = hpo.study("mine", "--trials", "1", "--searcher", "random")
    done = replace(hpo.apart, variables={**SECRETS, "MLFLOW_TRACKING_URI": UNREACHABLE}).run(*words)
    assert done.returncode == 0, done.stderr
    assert "events are missing in MLflow" in done.stderr
    assert SECRET not in done.stdout + done.stderr
    assert files_with_secrets(hpo.folder, hpo.cache) == []


@pytest.mark.parametrize(
    ("words", "uri", "code"),
    [
        (["reproduce", "mine/bayes-0001"], UNREACHABLE, 2),
        (["reproduce", "0123456789abcdef0123456789abcdef"], UNREACHABLE, 2),
        (["ui"], UNREACHABLE, 2),
        (["ui"], f"file://tuner:{SECRET}@host/folder", 2),
        (["ui", "--port", "0"], UNREACHABLE, 2),
        (["ui"], f"postgresql://tuner:{SECRET}@127.0.0.1:1/mlflow", 2),
        (["ui"], f"postgresql://127.0.0.1:1/mlflow?password={SECRET}", 2),
        (["reproduce", "mine/bayes-0001"], f"postgresql://tuner:{SECRET}@127.0.0.1:1/mlflow", 2),
        (["reproduce", "mine/bayes-0001"], f"nonsense://tuner:{SECRET}@127.0.0.1:1/mlflow", 2),
    ],
)
def test_error_about_the_store_shows_no_password(
    hpo: CommandLine, words: list[str], uri: str, code: int
) -> None:
    (hpo.folder / "hpo-runs").mkdir(exist_ok=True)
    answer = replace(hpo, variables={**SECRETS, "MLFLOW_TRACKING_URI": uri}).run(*words)
    assert answer.returncode == code, answer.stderr
    assert "Traceback" not in answer.stderr
    assert SECRET not in answer.stdout + answer.stderr
    assert all(SECRET.encode() not in file.read_bytes() for file in hpo.folder.rglob("*") if file.is_file())


@pytest.mark.slow
@pytest.mark.parametrize("place", ["file", "option"])
def test_address_for_notifications_is_in_nothing_that_a_study_writes_or_prints(
    hpo: CommandLine, place: str
) -> None:
    words = hpo.study("mine", "--trials", "1", "--epochs", "1", "--searcher", "random")
    study_file = hpo.folder / "small.toml"
    with notification_server() as server:
        variables = {**SECRETS, "MY_URL": server.url(f"me:{SECRET}@")}
        if place == "file":
            study_file.write_text(f'notify.url = "{server.url(f"me:{SECRET}@")}"\n' + study_file.read_text())
        else:
            words += ["--notify", "$MY_URL"]
        done = replace(hpo.apart, variables=variables).run(*words)
    assert done.returncode == 0, done.stderr
    assert server.titles == ["mine: stage bayes has ended, and the study with it"]
    journal = (hpo.folder / "hpo-runs" / "studies" / "mine" / "journal.jsonl").read_text()
    assert ("$MY_URL" in journal) == (place == "option")
    study_file.unlink()
    page = replace(hpo, variables=SECRETS).run("report", "mine")
    assert page.returncode == 0, page.stderr
    assert SECRET not in done.stdout + done.stderr + page.stdout + page.stderr
    assert files_with_secrets(hpo.folder, hpo.cache) == []


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("$NOT_SET", "$NOT_SET names an environment variable that is not set"),
        (f"nonsense://{SECRET}", "Apprise cannot use the address nonsense://***"),
    ],
)
def test_wrong_address_for_notifications_is_an_error_before_anything_starts(
    hpo: CommandLine, url: str, message: str
) -> None:
    answer = hpo.run(*hpo.study("mine"), "--notify", url)
    assert answer.returncode == 2 and message in answer.stderr
    assert SECRET not in answer.stderr and not (hpo.folder / "hpo-runs" / "studies" / "mine").exists()


@pytest.mark.parametrize("option", ["--data-uri", "--data"])
def test_job_takes_no_secret_in_the_place_of_its_data(hpo: CommandLine, option: str) -> None:
    answer = hpo.run("submit", "--", "run", "bayes", f"{option}=https://bob:{SECRET}@127.0.0.1:9/games")
    assert answer.returncode == 2 and "contains a user, a password or a query" in answer.stderr
    assert SECRET not in answer.stderr


def test_job_takes_the_name_of_a_variable_only(hpo: CommandLine) -> None:
    for words in (["--notify", f"json://{SECRET}"], [f"--notify=json://{SECRET}"]):
        answer = hpo.run("submit", "--", "run", "bayes", *words)
        assert answer.returncode == 2 and "--notify '$NAME'" in answer.stderr
        assert SECRET not in answer.stderr
