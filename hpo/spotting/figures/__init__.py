"""Figures of one trained network."""
