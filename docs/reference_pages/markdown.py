"""Pieces of Markdown."""

import inspect
import re
from collections.abc import Iterable, Sequence


def table(heading: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table; line breaks and bars in its cells are made safe."""
    lines = [heading, ["---"] * len(heading), *rows]
    return "\n".join("| " + " | ".join(map(_cell, line)) + " |" for line in lines) + "\n"


def code(text: str) -> str:
    """Return ``text`` as code."""
    return f"`{text}`"


def prose(docstring: str | None) -> str:
    """Return a docstring as Markdown: code in single backquotes, sections such as Args as lists."""
    text = inspect.cleandoc(docstring or "").replace("``", "`")
    lines, in_section = [], False
    for line in text.splitlines():
        if section := re.fullmatch(r"(Args|Returns|Raises|Yields):", line):
            lines += ["", f"**{section[1]}**", ""]
            in_section = True
        elif in_section and re.match(r"    \S", line):
            entry = re.match(r"    ([\w*]+): (.*)", line)
            lines.append(f"- `{entry[1]}`: {entry[2]}" if entry else f"  {line.strip()}")
        else:
            in_section = in_section and (not line or line.startswith(" "))
            lines.append(f"  {line.strip()}" if in_section and line else line)
    return "\n".join(lines).strip() + "\n"


def _cell(text: str) -> str:
    """Return one line in which a bar ends no cell; in code a bar is one, and a backslash would be shown."""
    parts = " ".join(text.split()).split("`")
    parts[::2] = [part.replace("|", "\\|") for part in parts[::2]]
    return "`".join(parts)
