"""Workflows and issue forms of ``.github``: valid YAML that names what the repository has."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from deployment.docker_files import ROOT

WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
FORMS = [file for file in (ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml") if file.stem != "config"]


def steps(workflow: Path) -> list[dict[str, Any]]:
    jobs = yaml.safe_load(workflow.read_text())["jobs"].values()
    return [step for job in jobs for step in job["steps"]]


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda file: file.stem)
def test_workflow_may_read_only_and_runs_commands(workflow: Path) -> None:
    assert yaml.safe_load(workflow.read_text())["permissions"] == {"contents": "read"}
    assert all(("uses" in step) != ("run" in step) for step in steps(workflow))
    assert all(job["timeout-minutes"] for job in yaml.safe_load(workflow.read_text())["jobs"].values())


def test_there_are_workflows_for_tests_documentation_and_wheel() -> None:
    assert {file.stem for file in WORKFLOWS} >= {"tests", "docs", "wheel"}


def test_tests_run_on_lowest_newest_and_locked_versions() -> None:
    matrix = yaml.safe_load((ROOT / ".github/workflows/tests.yml").read_text())["jobs"]["tests"]["strategy"]
    assert {entry["name"] for entry in matrix["matrix"]["include"]} == {"locked", "lowest", "newest"}


def test_files_and_extras_that_workflows_name_exist() -> None:
    text = "\n".join(str(step.get("run", "")) for workflow in WORKFLOWS for step in steps(workflow))
    extras = re.findall(r"'\.\[(\w+)\]'", text)
    project = (ROOT / "pyproject.toml").read_text()
    assert extras and all(re.search(rf"^{extra} = \[", project, re.MULTILINE) for extra in extras)
    assert (ROOT / "constraints.txt").is_file() and (ROOT / ".ci" / "run").is_file()


@pytest.mark.parametrize("form", FORMS, ids=lambda file: file.stem)
def test_issue_form_asks_for_the_version(form: Path) -> None:
    fields = {entry["id"]: entry for entry in yaml.safe_load(form.read_text())["body"]}
    assert fields["version"]["validations"]["required"]
    assert all(entry["attributes"]["label"] for entry in fields.values())


def test_the_form_for_faults_asks_for_the_environment() -> None:
    bug = yaml.safe_load((ROOT / ".github" / "ISSUE_TEMPLATE" / "bug.yml").read_text())
    assert "environment" in {entry["id"] for entry in bug["body"]}
