"""Figures of the stages of a study."""
