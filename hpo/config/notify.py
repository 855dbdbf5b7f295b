"""Addresses for notifications, which hold secrets: in study files, on the command line, in messages."""

import os
import re
from collections.abc import Mapping, Sequence

from pydantic import field_validator

from hpo.config.sections import Section, broken_rule
from model.errors import ConfigError

_REFERENCE = re.compile(r"\$(?:\{(?P<braced>\w+)\}|(?P<plain>\w+))")


class Notify(Section):
    """Table ``[notify]`` of a study file."""

    url: str | tuple[str, ...] = ()
    """Addresses as Apprise writes them, or ``$NAME`` for the environment variable that holds one."""

    @field_validator("url", mode="before")
    @classmethod
    def _texts(cls, value: object) -> object:
        texts = [value] if isinstance(value, str) else value
        if not isinstance(texts, list | tuple) or not all(isinstance(text, str) for text in texts):
            # Without the value, which may hold a secret.
            raise broken_rule("expected an address, or a list of addresses")
        return tuple(texts)

    @property
    def urls(self) -> tuple[str, ...]:
        """The addresses."""
        return (self.url,) if isinstance(self.url, str) else self.url

    @property
    def storable(self) -> list[str]:
        """The addresses that hold no secret, because they name environment variables."""
        return [url for url in self.urls if is_reference(url)]


def is_reference(url: str) -> bool:
    """Return whether an address names the environment variable that holds it, as ``$NAME`` does."""
    return _REFERENCE.fullmatch(url) is not None


def resolved_urls(urls: Sequence[str], variables: Mapping[str, str] = os.environ) -> tuple[str, ...]:
    """Return addresses with ``$NAME`` replaced by the variable, which may hold several, one a line.

    Raises:
        ConfigError: A variable is not set.
    """
    resolved: list[str] = []
    for url in urls:
        matched = _REFERENCE.fullmatch(url)
        if matched is None:
            resolved.append(url)
            continue
        value = variables.get(matched["braced"] or matched["plain"])
        if not value:
            raise ConfigError(
                f"the address for notifications {url} names an environment variable that is not set",
                fix=f"set it: export {matched['braced'] or matched['plain']}=URL",
            )
        resolved += value.split()
    return tuple(resolved)


def masked(url: str) -> str:
    """Return an address without everything that may be secret, such as ``slack://***``."""
    scheme, separator, _ = url.partition("://")
    return f"{scheme}://***" if separator and re.fullmatch(r"[A-Za-z0-9+.-]{1,20}", scheme) else "***"
