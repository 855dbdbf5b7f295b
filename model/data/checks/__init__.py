"""Checks of data folders: everything that is wrong, missing or repeated."""
