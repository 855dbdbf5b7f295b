"""Configurations that stages start from, try first, or compare."""
