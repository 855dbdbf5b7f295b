"""Descriptions of published data sets, one ``dataset.toml`` per data set, read as package data."""
