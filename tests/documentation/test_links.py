"""Links in the pages lead somewhere, in the repository and in the site; every page can be found."""

import re
from itertools import chain
from pathlib import Path

import pytest
import reference_pages
import site_files
import yaml
from documentation.pages import PAGES, ROOT

ALL = [*PAGES, ROOT / "CHANGELOG.md", ROOT / "benchmarks" / "RESULTS.md"]
GENERATED = {f"docs/{place}": text for place, text in reference_pages.pages().items()}


def text_of(target: str) -> str:
    return GENERATED[target] if target in GENERATED else (ROOT / target).read_text()


def anchors(text: str) -> set[str]:
    """Anchors of the headings, as GitHub and the site make them."""
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading).strip().lower().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", ALL, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_to_files_and_headings(page: Path) -> None:
    origin = str(page.relative_to(ROOT))
    for link, anchor in site_files.links(page.read_text()):
        target = site_files.target_of(origin, link) if link else origin
        assert target in GENERATED or (ROOT / target).is_file(), f"{origin}: there is no {target}"
        if anchor:
            assert anchor[1:] in anchors(text_of(target)), f"{origin}: {target} has no heading {anchor}"


def test_every_page_is_in_the_navigation_of_the_site_once() -> None:
    # Without the names of Python that MkDocs puts there.
    text = re.sub(r"!!python\S+", "", (ROOT / "mkdocs.yml").read_text())
    navigation = yaml.safe_load(text)["nav"]
    sections = [[entry] if isinstance(entry, str) else next(iter(entry.values())) for entry in navigation]
    named = list(chain.from_iterable(sections))
    pages = {str(page.relative_to(ROOT / "docs")) for page in (ROOT / "docs").rglob("*.md")}
    mirrored = set(site_files.MIRRORED.values())
    assert sorted(named) == sorted(pages | mirrored | reference_pages.pages().keys())


@pytest.mark.parametrize(
    ("origin", "link", "in_site"),
    [
        ("docs/how-to/data.md", "../tutorials/own-sport.md", "../tutorials/own-sport.md"),
        ("docs/how-to/data.md", "../../benchmarks/RESULTS.md", "../project/results.md"),
        ("docs/how-to/data.md", "../../docker/compose.yaml", "../files/docker/compose.yaml"),
        ("docs/index.md", "../CONTRIBUTING.md", "project/contributing.md"),
        ("docker/README.md", "../examples/slurm/README.md", "slurm.md"),
        ("model/README.md", "../docs/architecture.md#rules", "../architecture.md#rules"),
    ],
)
def test_links_are_adapted_to_the_site(origin: str, link: str, in_site: str) -> None:
    assert site_files.for_site(f"See [it]({link}).", origin) == f"See [it]({in_site})."


def test_addresses_and_anchors_stay() -> None:
    text = "[a](https://example.org/x.md) [b](#here)"
    assert site_files.for_site(text, "docs/how-to/data.md") == text
    assert list(site_files.links("`[a](b.md)` [c](d.md#e)")) == [("d.md", "#e")]
