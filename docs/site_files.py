"""Files of the site: pages of ``docs``, generated ones, and files of the repository that they link to.

Links in the Markdown are those of the repository, so that they work where it is read without the site. Pages
of
other folders, such as the results, become pages of the site; other files that a page links to are copied.
"""

import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from posixpath import normpath, relpath

ROOT = Path(__file__).parent.parent
MIRRORED = {
    "benchmarks/RESULTS.md": "project/results.md",
    "CHANGELOG.md": "project/changelog.md",
    "CONTRIBUTING.md": "project/contributing.md",
    "SECURITY.md": "project/security.md",
    "CODE_OF_CONDUCT.md": "project/conduct.md",
    "docker/README.md": "project/docker.md",
    "examples/slurm/README.md": "project/slurm.md",
    "model/README.md": "project/science.md",
    "README.md": "index.md",
}
"""Page of the repository -> page of the site."""
FILES = "files"
"""Folder of the site with copies of other files."""
_LINK = re.compile(r"(?<=\]\()(?!\w+:)([^)#\s]*)(#[^)\s]*)?(?=\))")
_CODE = re.compile(r"^```.*?^```|^    .*?$|`[^`\n]*`", re.MULTILINE | re.DOTALL)


def links(text: str) -> Iterator[tuple[str, str]]:
    """Yield target and anchor of every relative link, those in code left out."""
    for found in _LINK.finditer(_CODE.sub("", text)):
        yield found[1], found[2] or ""


def target_of(origin: str, link: str) -> str:
    """Return the path in the repository of a link in the page ``origin``."""
    return normpath(PurePosixPath(origin).parent / link)


def place_of(target: str) -> str:
    """Return where the site has the file ``target`` of the repository."""
    if target in MIRRORED:
        return MIRRORED[target]
    if target.startswith("docs/"):
        return target.removeprefix("docs/")
    return f"{FILES}/{target}"


def origin_of(place: str) -> str:
    """Return the file of the repository that is at ``place`` in the site."""
    for origin, page in MIRRORED.items():
        if page == place and origin != "README.md":
            return origin
    return place.removeprefix(f"{FILES}/") if place.startswith(f"{FILES}/") else f"docs/{place}"


def for_site(text: str, origin: str) -> str:
    """Return the Markdown of the page ``origin`` with the links that it needs in the site."""
    here = PurePosixPath(place_of(origin)).parent

    def rewritten(found: re.Match[str]) -> str:
        if not found[1]:
            return found[0]
        return relpath(place_of(target_of(origin, found[1])), here) + (found[2] or "")

    return _LINK.sub(rewritten, text)


def linked_files(pages: Iterator[tuple[str, str]]) -> set[str]:
    """Return the files outside ``docs``, no pages of the site, to which pages (origin, text) link."""
    targets = {target_of(origin, link) for origin, text in pages for link, _ in links(text) if link}
    return {target for target in targets if place_of(target).startswith(f"{FILES}/")}
