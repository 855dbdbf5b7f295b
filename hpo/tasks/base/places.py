"""Location of a study's data: a folder on this machine, or a URI from which every machine fetches a copy."""

import re
from pathlib import Path
from urllib.parse import urlsplit

from model.errors import ConfigError

_URI_AS_PATH = re.compile(r"[A-Za-z][\w+.-]+:/")
"""Beginning of a path that was typed as a URI; one of its slashes is lost."""


def is_uri(place: str) -> bool:
    """Return whether ``place`` is a URI, not a folder."""
    return "://" in place


def place_of(data: str | Path) -> str:
    """Return the location of data that were given as a folder or as a URI.

    Raises:
        ConfigError: The URI contains a password.
    """
    uri = str(data) if is_uri(str(data)) else None
    return chosen_place(None, uri, default=Path(data))


def chosen_place(folder: Path | None, uri: str | None, *, default: Path) -> str:
    """Return the location of the data: ``uri``, else the absolute path of ``folder`` or ``default``.

    Raises:
        ConfigError: Both folder and URI are given, a URI is given as the folder, or the URI is invalid or
            contains a password.
    """
    if folder is not None and _URI_AS_PATH.match(str(folder)) and not folder.exists():
        raise ConfigError(f"expected --data with a folder, got {folder}", fix="for a URI, use --data-uri")
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
    try:
        authority = urlsplit(uri).netloc
    except ValueError:  # a bracket that is not one of IPv6, as passwords have
        return True
    _, colon, port = authority.rpartition(":")
    # A slash in a password ends the authority, so that its beginning stands where a port would.
    has_slash = "@" in uri and colon and not port.isdecimal()
    return "@" in authority or bool(has_slash)
