"""Figures of a stage of a study: how its search went, and what its configurations reached."""
