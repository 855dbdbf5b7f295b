"""Temporal action proposals on ActivityNet: BMN, with its own loss or with the context-aware one."""
