"""``CITATION.cff`` agrees with the package."""

import tomllib

import yaml
from deployment.docker_files import ROOT

from hpo import __version__

CITATION = yaml.safe_load((ROOT / "CITATION.cff").read_text())


def test_citation_names_version_and_licence_of_the_package() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert CITATION["version"] == __version__
    assert CITATION["license"] == project["license"]


def test_citation_has_what_the_format_requires() -> None:
    assert {"cff-version", "message", "title", "authors"} <= CITATION.keys()
    paper = CITATION["preferred-citation"]
    assert {"type", "title", "authors", "year"} <= paper.keys()
    assert all({"family-names", "given-names"} <= author.keys() for author in paper["authors"])
