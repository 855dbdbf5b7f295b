"""Temporal action proposals on ActivityNet: BMN with its own or with the context-aware loss."""
