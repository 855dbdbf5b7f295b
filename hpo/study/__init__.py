"""Studies: plan, journal, runner, resume and results."""
