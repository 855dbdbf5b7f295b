"""Location of a study's data: a folder on this machine, or a URI from which every machine fetches a copy."""

from pathlib import Path
from urllib.parse import urlsplit

from model.errors import ConfigError


def is_uri(place: str) -> bool:
    """Return whether ``place`` is a URI, not a folder."""
    return "://" in place


def chosen_place(folder: Path | None, uri: str | None, *, default: Path) -> str:
    """Return the location of the data: ``uri``, else the absolute path of ``folder`` or ``default``.

    Raises:
        ConfigError: Both folder and URI are given, or the URI is invalid or contains a password.
    """
    if uri is None:
        return str((folder or default).absolute())
    if folder is not None:
        raise ConfigError("expected either --data or --data-uri, got both")
    if not is_uri(uri):
        raise ConfigError(
            f"expected --data-uri with a URI such as s3://BUCKET/FOLDER, got {uri!r}",
            fix="for a folder on this machine, use --data",
        )
    if "?" in uri or _has_user(uri):
        raise ConfigError(
            "--data-uri contains a user, a password or a query, which the journal and MLflow would show",
            fix="configure the credentials on every machine instead, such as in ~/.aws for s3://",
        )
    return uri.rstrip("/")


def _has_user(uri: str) -> bool:
    """Return whether a URI names a user; an ``@`` in its path, such as that of a revision, is none."""
    authority = urlsplit(uri).netloc
    _, colon, port = authority.rpartition(":")
    # A slash in a password ends the authority, so that its beginning stands where a port would.
    has_slash = "@" in uri and colon and not port.isdecimal()
    return "@" in authority or bool(has_slash)
