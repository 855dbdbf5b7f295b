"""Limits of options that both the command line and Python check, light to import."""

LARGEST_SEED = 2**53
"""Largest seed; whole numbers up to here are exact in JSON and in MLflow."""
