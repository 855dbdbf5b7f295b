"""Wheel and source archive: built from the files of the repository, and used in a folder without it."""

import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest
from deployment.docker_files import ROOT

pytestmark = pytest.mark.slow
PACKAGES = ("hpo", "model", "search_spaces")


def run(*words: str, folder: Path, packages: Path | None = None) -> str:
    """Run Python in a folder; the modules in ``packages`` come before all others."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("HPO_", "MLFLOW_"))}
    kept |= {"PYTHONPATH": str(packages)} if packages else {}
    done = subprocess.run(
        [sys.executable, *words],
        cwd=folder,
        env={**kept, "HPO_CACHE": str(folder / "cache")},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
    return done.stdout


def tracked(*folders: str) -> set[str]:
    """Files of the repository in these folders, that git has or will have."""
    listed = ["git", "ls-files", "--cached", "--others", "--exclude-standard", *folders]
    files = subprocess.run(listed, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\n")
    return {file for file in files if (ROOT / file).is_file()}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with both archives."""
    pytest.importorskip("hatchling")
    folder = tmp_path_factory.mktemp("dist")
    run("-m", "hatchling", "build", "--directory", str(folder), folder=ROOT, packages=search_path())
    return folder


def search_path() -> Path | None:
    """Where this Python finds the builder, if that is not among its installed packages."""
    return Path(os.environ["PYTHONPATH"]) if os.environ.get("PYTHONPATH") else None


def test_the_wheel_has_all_files_of_the_packages_and_no_others(built: Path) -> None:
    (wheel,) = built.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert names == tracked(*PACKAGES)


def test_the_source_archive_has_what_a_developer_needs_and_makes_the_same_wheel(
    built: Path, tmp_path: Path
) -> None:
    (source,) = built.glob("*.tar.gz")
    with tarfile.open(source) as archive:
        archive.extractall(tmp_path, filter="data")
    (unpacked,) = (folder for folder in tmp_path.iterdir() if folder.is_dir())
    for needed in (
        "tests/conftest.py",
        "docs/tutorials/first-study.md",
        "README.md",
        "LICENSE",
        "mkdocs.yml",
    ):
        assert (unpacked / needed).is_file(), needed
    again = tmp_path / "again"
    words = ("-m", "hatchling", "build", "--target", "wheel", "--directory", str(again))
    run(*words, folder=unpacked, packages=search_path())
    (first,), (second,) = built.glob("*.whl"), again.glob("*.whl")
    assert contents(second) == contents(first)


def contents(wheel: Path) -> dict[str, int]:
    with zipfile.ZipFile(wheel) as archive:
        return {entry.filename: entry.CRC for entry in archive.infolist()}


def test_the_installed_wheel_plans_a_study_in_an_empty_folder(built: Path, tmp_path: Path) -> None:
    (wheel,) = built.glob("*.whl")
    site, folder = tmp_path / "site", tmp_path / "work"
    folder.mkdir()
    options = ("--quiet", "--no-deps", "--no-index", "--target", str(site))
    run("-m", "pip", "install", *options, str(wheel), folder=folder)
    shown = "import hpo, model, search_spaces; print(*hpo.__path__, *model.__path__, *search_spaces.__path__)"
    places = run("-c", shown, folder=folder, packages=site)
    assert all(Path(place).is_relative_to(site) for place in places.split())
    version = run("-m", "hpo", "--version", folder=folder, packages=site).strip()
    assert f"hpo-{version}-" in wheel.name
    plan = run("-m", "hpo", "run", "bayes", "--dry-run", folder=folder, packages=site)
    assert plan.startswith("study ") and "synthetic/synthetic" in plan
