"""Where MLflow keeps its records: a server somebody runs, or an SQLite file in the runs folder."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from filelock import FileLock

from hpo.config.environment import Environment, without_passwords
from model.errors import ConfigError, UserError

_SQLITE = "sqlite:///"
_ANSWER_S = 5.0
_SERVERS = ("http://", "https://", "databricks")
# Opening a store makes its tables. Another process does it, because MLflow and Alembic talk while they do
# and because a file that is complete when it gets its name can not be left half made by a kill.
_MAKE_TABLES = "import sys; from mlflow import MlflowClient; MlflowClient(sys.argv[1]).search_experiments()"


def sqlite_file(environment: Environment) -> Path | None:
    """The file of an SQLite store; None for servers and other data bases."""
    uri = environment.tracking_uri
    return Path(uri.removeprefix(_SQLITE)).absolute() if uri.startswith(_SQLITE) else None


def is_server(environment: Environment) -> bool:
    """Whether MLflow is reached over the network and decides itself where artifacts lie."""
    return environment.tracking_uri.startswith(_SERVERS)


def silent_server(environment: Environment) -> str | None:
    """Host and port of an MLflow server at which nobody listens; None for one that is there, or no server."""
    parts = urlsplit(environment.tracking_uri)
    if parts.scheme not in ("http", "https"):
        return None
    try:
        address = (parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80))
        socket.create_connection(address, timeout=_ANSWER_S).close()
    except (OSError, ValueError):
        return parts.netloc.rpartition("@")[2]
    return None


def check_store(environment: Environment) -> None:
    """Refuse a store that MLflow can not use, before any work is done.

    Raises:
        ConfigError: ``MLFLOW_TRACKING_URI`` is a plain folder.
    """
    scheme, separator, _ = environment.tracking_uri.partition(":")
    if scheme == "file" or not (separator or scheme == "databricks"):
        raise ConfigError(
            f"MLflow no longer records in plain folders, got {without_passwords(environment.tracking_uri)}",
            expected="a server (http://host:port) or a data base (sqlite:////folder/mlflow.db)",
            fix="set MLFLOW_TRACKING_URI to one, or unset it for the default in the runs folder",
        )


def make_store(environment: Environment) -> None:
    """Make the tables of an SQLite store that is not there yet; safe when several processes want it."""
    file = sqlite_file(environment)
    if file is None:
        return
    file.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{file}.lock"):
        if not file.exists():
            unfinished = file.with_name(f"{file.name}.unfinished")
            unfinished.unlink(missing_ok=True)
            _make_tables(unfinished)
            unfinished.rename(file)


@contextmanager
def answering(uri: str) -> Iterator[None]:
    """A store that does not answer is told as such, and not as something that is not in it."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:  # a store may fail in ways that no list holds
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise UserError(without_passwords(f"MLflow at {uri} does not answer: {reason}")) from None


def artifact_folder(environment: Environment, experiment: str) -> str | None:
    """Where the files of one experiment lie; None where the server decides."""
    return None if is_server(environment) else (environment.runs / "artifacts" / experiment).as_uri()


def quiet_variables() -> dict[str, str]:
    """Settings of MLflow that the user's own take precedence over.

    No telemetry, no words on standard output, and no retries inside a request: the follower tries again.
    """
    wanted = {
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
        "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
        "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
    }
    return {name: os.environ.get(name, value) for name, value in wanted.items()}


def _make_tables(file: Path) -> None:
    made = subprocess.run(
        [sys.executable, "-c", _MAKE_TABLES, f"{_SQLITE}{file}"],
        # MLflow notes a folder for artifacts of its own below the working directory.
        cwd=file.parent,
        env={**os.environ, **quiet_variables()},
        capture_output=True,
        text=True,
        check=False,
    )
    if made.returncode != 0:
        raise OSError(f"the MLflow store {file.name} could not be made: {made.stderr.strip()[-500:]}")
