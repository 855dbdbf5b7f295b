"""Descriptions of published data sets: one ``dataset.toml`` each, read as package data."""
