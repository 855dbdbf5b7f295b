"""Commands that continue a study on the machine or the Ray cluster that trains it.

A study does not store the address of its cluster, so a command without it would train on this machine.
"""

from model.shell import shell_line


def resume_command(study: str, *options: str, cluster: str | None = None) -> str:
    """Return the command that resumes a study; ``cluster`` is the address of the cluster that trains it."""
    return shell_line("hpo", "resume", study, *options, *_on(cluster))


def run_command(stage: str, *options: str, cluster: str | None = None) -> str:
    """Return the command that runs a stage; ``cluster`` is the address of the cluster that trains."""
    return shell_line("hpo", "run", stage, *options, *_on(cluster))


def _on(cluster: str | None) -> tuple[str, ...]:
    return ("--ray-address", cluster) if cluster else ()
