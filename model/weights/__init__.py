"""Trained networks in files: our own format, and the published ones."""
