"""Where a study's data lie: a folder of this machine, or a URI of which every machine has a copy."""

from pathlib import Path

from hpo.config.environment import without_passwords
from model.errors import ConfigError


def is_uri(place: str) -> bool:
    """Whether a study's data lie elsewhere."""
    return "://" in place


def chosen_place(folder: Path | None, uri: str | None, *, default: Path) -> str:
    """Where the games lie: what was typed, else ``default``; a folder as an absolute path.

    Raises:
        ConfigError: Both were typed; or no URI, or one with a password, which journal and MLflow would show.
    """
    if uri is None:
        return str((folder or default).absolute())
    if folder is not None:
        raise ConfigError("expected --data or --data-uri, got both")
    if not is_uri(uri):
        raise ConfigError(
            f"expected --data-uri s3://BUCKET/FOLDER or the like, got {uri!r}: a folder is --data"
        )
    if "?" in uri or without_passwords(uri) != uri:
        raise ConfigError(
            "the URI of the data holds a user, a password or a query, which journal and MLflow would show",
            fix="set them where the file system looks for them on every machine, as ~/.aws for s3://",
        )
    return uri.rstrip("/")
