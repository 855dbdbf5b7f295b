"""Checks of a machine: it trains right, waits for nothing and recovers (``hpo bench --check``)."""
