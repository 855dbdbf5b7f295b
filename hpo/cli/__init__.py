"""Commands: one typed function each; only this room turns errors into exit codes."""
