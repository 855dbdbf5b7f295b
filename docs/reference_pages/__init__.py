"""Pages of the reference, made from the code: commands, settings, Python functions, records and names.

``pages`` needs nothing but the package itself. The hook of the site calls it, and so do the tests, which
compare
its pages with what the code accepts.
"""

from reference_pages import commands, dataset, journal, names, python, settings


def pages() -> dict[str, str]:
    """Return the Markdown of every generated page by its path below ``docs``."""
    return {
        "reference/commands.md": commands.page(),
        "reference/study-file.md": settings.page(),
        "reference/dataset-toml.md": dataset.page(),
        "reference/python.md": python.page(),
        "reference/environment.md": names.environment_page(),
        "reference/journal.md": journal.page(),
        "reference/exit-codes.md": names.exit_codes_page(),
        "reference/mlflow.md": names.mlflow_page(),
    }
