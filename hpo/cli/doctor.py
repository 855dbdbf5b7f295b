"""Command ``hpo doctor``, which checks an installation."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer


def doctor(
    data: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Data folder to look at. Default: $HPO_DATA if it is set."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")] = False,
) -> None:
    """Check the installation.

    Prints a line for every version, device, folder and service: ok, or what the problem is and what to do.
    Passwords and tokens are masked, so that the output can be added to a report of a problem. The exit code
    is 1 if there is a problem. The check of Ray takes about ten seconds.
    """
    from hpo.api.doctor import examine

    findings = []
    for finding in examine(data):
        findings.append(finding)
        if not as_json:
            typer.echo(finding.line)
    if as_json:
        typer.echo(json.dumps([asdict(finding) for finding in findings], indent=2))
    if not all(finding.ok for finding in findings):
        raise typer.Exit(1)
