"""MLflow store: a running server, a database, or by default an SQLite file in the folder of studies."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import SplitResult, unquote_to_bytes, urlsplit
from urllib.request import getproxies, proxy_bypass

from hpo.config.environment import Environment, require_readable_store, without_passwords
from hpo.config.plain_paths import plain_path
from model.errors import ConfigError, UserError
from model.locks import locked

IDENTITY = "hpo.identity"
"""Tag of an experiment that identifies its study."""
OTHER_STORE = "or set MLFLOW_TRACKING_URI to another store"
"""Last remedy of every error about a store."""
_READ_ONLY = ("readonly database", "read-only file system")
_COPY = f"make its folder writable, or copy it and set HPO_RUNS to the copy, {OTHER_STORE}"
_SQLITE = "sqlite:///"
ARTIFACTS = "artifacts"
"""Name of the folder of artifacts in the folder of studies."""
_LOCATIONS = """
    SELECT experiments.experiment_id, artifact_location, value FROM experiments
    JOIN experiment_tags ON experiment_tags.experiment_id = experiments.experiment_id WHERE key = :key
"""
_MOVES = (
    """
    UPDATE runs SET artifact_uri = :now || substr(artifact_uri, :rest)
    WHERE experiment_id = :experiment AND substr(artifact_uri, 1, :rest - 1) = :before
    """,
    "UPDATE experiments SET artifact_location = :now WHERE experiment_id = :experiment",
    *(
        f"""
        UPDATE model_versions SET {column} = :now || substr({column}, :rest)
        WHERE substr({column}, 1, :rest - 1) = :before
        """
        for column in ("source", "storage_location")
    ),
)
_ANSWER_S = 5.0
_PORTS = {"http": 80, "https": 443, "postgresql": 5432, "mysql": 3306, "mssql": 1433}
_SERVERS = ("http://", "https://", "databricks")
# Opening a store creates its tables. A separate process does it, because MLflow and Alembic print messages
# meanwhile, and because a file that is renamed when complete is never left half made after a kill.
# Its last line is the innermost cause of an error, such as "disk is full", without the statement around it.
_MAKE_TABLES = """
import sys
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore
try:
    SqlAlchemyStore(sys.argv[1], sys.argv[2])
except Exception as error:
    while cause := error.__cause__ or error.__context__:
        error = cause
    sys.exit(" ".join(str(error).split()) or type(error).__name__)
"""


def sqlite_file(environment: Environment) -> Path | None:
    """Return the file of an SQLite store; None for servers and other databases."""
    uri = environment.tracking_uri
    return Path(uri.removeprefix(_SQLITE)).absolute() if uri.startswith(_SQLITE) else None


def is_server(environment: Environment) -> bool:
    """Return whether the store is a server, which stores artifacts itself."""
    return environment.tracking_uri.startswith(_SERVERS)


def unreachable_server(environment: Environment) -> str | None:
    """Return host and port of an MLflow or database server, or its proxy, that does not accept connections.

    The result is None for a reachable server, for a file, and where no host is known.
    """
    parts = urlsplit(environment.tracking_uri)
    try:
        if proxy := _proxy_of(parts):
            parts = urlsplit(proxy)
        port = parts.port or _PORTS.get(parts.scheme.partition("+")[0])
        if not parts.hostname or port is None:
            return None
        socket.create_connection((parts.hostname, port), timeout=_ANSWER_S).close()
    except (OSError, ValueError):
        return parts.netloc.rpartition("@")[2]
    return None


def _proxy_of(server: SplitResult) -> str | None:
    """Return the proxy through which MLflow's client reaches a server; None if it connects directly."""
    if server.scheme not in ("http", "https") or not server.hostname or proxy_bypass(server.hostname):
        return None
    proxies = getproxies()
    proxy = proxies.get(server.scheme) or proxies.get("all")
    return f"http://{proxy}" if proxy and "://" not in proxy else proxy


def check_store(environment: Environment) -> None:
    """Check that MLflow supports the store.

    Raises:
        ConfigError: ``MLFLOW_TRACKING_URI`` is a plain folder, or no address.
    """
    require_readable_store(environment.tracking_uri)
    scheme, separator, _ = environment.tracking_uri.partition(":")
    if scheme == "file" or not (separator or scheme == "databricks"):
        raise ConfigError(
            "MLFLOW_TRACKING_URI names a folder, which MLflow no longer supports: "
            f"{without_passwords(environment.tracking_uri)}",
            expected="a server (http://host:port) or a database (sqlite:////folder/mlflow.db)",
            fix="set MLFLOW_TRACKING_URI to one of these, or unset it to use the default in the runs folder",
        )


def require_answer(environment: Environment) -> None:
    """Check that MLflow supports the store, and that its server, if it has one, accepts connections.

    Raises:
        ConfigError: MLflow does not support the store.
        UserError: The server does not answer.
    """
    check_store(environment)
    if server := unreachable_server(environment):
        raise UserError(f"MLflow at {server} does not answer", fix=f"start the server, {OTHER_STORE}")


def make_store(environment: Environment) -> None:
    """Create an SQLite store if it does not exist, and let artifacts follow a folder that has moved.

    Several processes may call this at the same time. A store that exists may be read-only.

    Raises:
        UserError: The store cannot be created, or does not answer.
    """
    file = sqlite_file(environment)
    if file is not None and not file.exists():
        try:
            _create(file, artifact_root(environment))
        except OSError as error:
            raise not_created(file, error) from error
    if not is_server(environment):
        owned = file is not None and file.parent.resolve() == environment.runs.resolve()
        with store_errors(environment.tracking_uri):
            _follow_artifacts(environment, owned=owned)


def not_created(file: Path, error: OSError) -> UserError:
    """Return the error for a store that cannot be created at ``file``."""
    return UserError(
        f"cannot create the MLflow store: {error.strerror or error}",
        file=file,
        fix=f"set HPO_RUNS to a folder that can be written, {OTHER_STORE}",
    )


def _create(file: Path, artifacts: str) -> None:
    file.parent.resolve().mkdir(parents=True, exist_ok=True)  # it may be a link to a folder to make
    with locked(Path(f"{file}.lock")):
        if not file.exists():
            unfinished = file.with_name(f"{file.name}.unfinished")
            unfinished.unlink(missing_ok=True)
            _make_tables(unfinished, artifacts)
            unfinished.rename(file)


def _follow_artifacts(environment: Environment, *, owned: bool) -> None:
    """Write the present folder of artifacts into the store, where MLflow keeps whole addresses.

    Args:
        environment: Names the folder of studies.
        owned: Whether the store lies in this folder, and moves with it. Artifacts that are nowhere are
            expected here then; otherwise only addresses of artifacts that are here change.
    """
    from sqlalchemy import create_engine, inspect, text

    engine, folder = create_engine(environment.tracking_uri), environment.runs / ARTIFACTS
    try:
        if not inspect(engine).has_table("experiment_tags"):
            return
        with engine.begin() as store:
            for experiment, before, identity in store.execute(text(_LOCATIONS), {"key": IDENTITY}).all():
                now, is_here = artifact_folder(environment, identity), (folder / identity).is_dir()
                if before != now and (is_here or (owned and not _is_folder(before))):
                    named = {"experiment": experiment, "before": before, "now": now}
                    for change in _MOVES:
                        store.execute(text(change), {**named, "rest": len(before) + 1})
    finally:
        engine.dispose()


def _is_folder(uri: str) -> bool:
    return uri.startswith("file:") and Path(os.fsdecode(unquote_to_bytes(urlsplit(uri).path))).is_dir()


@contextmanager
def store_errors(uri: str) -> Iterator[None]:
    """Convert errors of the store at ``uri`` inside the context into a ``UserError`` with one line."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:  # a store may fail in ways that no list holds
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        fix = {"fix": _COPY} if any(words in reason.lower() for words in _READ_ONLY) else {}
        raise UserError(without_passwords(f"MLflow at {uri} does not answer: {reason}"), **fix) from None


def artifact_folder(environment: Environment, experiment: str) -> str | None:
    """Return the URI of the folder for an experiment's artifacts; None if the server decides."""
    return None if is_server(environment) else f"{artifact_root(environment)}/{experiment}"


def artifact_root(environment: Environment) -> str:
    """Return the URI of the folder for the artifacts of all experiments of a local store."""
    return (plain_path(environment.runs) / ARTIFACTS).as_uri()


def quiet_variables() -> dict[str, str]:
    """Return environment variables that silence MLflow; values that the user has set take precedence.

    They disable telemetry, messages on standard output, and retries of requests: the follower retries.
    """
    wanted = {
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
        "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
        "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
    }
    return {name: os.environ.get(name, value) for name, value in wanted.items()}


def _make_tables(file: Path, artifacts: str) -> None:
    made = subprocess.run(
        [sys.executable, "-c", _MAKE_TABLES, f"{_SQLITE}{file}", artifacts],
        env={**os.environ, **quiet_variables()},
        capture_output=True,
        text=True,
        check=False,
        # A signal to the process group of the study must not end it half way.
        start_new_session=True,
    )
    if made.returncode != 0:
        lines = made.stderr.strip().splitlines() or [f"its process ended with code {made.returncode}"]
        raise OSError(f"{lines[-1]:.500}")
