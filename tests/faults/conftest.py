"""The small data set and the command line of the end-to-end tests."""

from e2e.conftest import empty_store, hpo, shared_cache, small_data

__all__ = ["empty_store", "hpo", "shared_cache", "small_data"]
