"""Pages that users read, and the blocks of code in them."""

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md", "CODE_OF_CONDUCT.md")),
    *(ROOT / name for name in ("docker/README.md", "examples/slurm/README.md", "model/README.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
]
"""All pages but the changelog and the results, which say what was true at their date."""
NOT_RUN = "<!-- not run: "
"""Beginning of the line before a block that the test of a tutorial leaves out."""
_BLOCK = re.compile(r"(?:^(<!-- [^\n]*)\n)?^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    """A block of code in a page."""

    page: Path
    line: int
    language: str
    text: str
    note: str
    """Comment before the block."""

    @property
    def place(self) -> str:
        """Page and line, for messages and names of tests."""
        return f"{self.page.relative_to(ROOT)}:{self.line}"

    @property
    def file(self) -> str:
        """Name of the file that the block is, from its first line ``# NAME``; empty for others."""
        named = re.match(r"# (\S+\.(?:py|toml))\n", self.text)
        return named[1] if named else ""


def blocks(page: Path, *languages: str) -> list[Block]:
    """Return the blocks of a page in these languages, in their order."""
    text = page.read_text()
    return [
        Block(page, text.count("\n", 0, found.start(2)) + 1, found[2], found[3], found[1] or "")
        for found in _BLOCK.finditer(text)
        if found[2] in languages
    ]


def prose(page: Path) -> str:
    """Return a page with its blocks of code left empty; lines keep their numbers."""
    return _BLOCK.sub(lambda found: "\n" * found[0].count("\n"), page.read_text())
