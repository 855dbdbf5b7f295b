"""Pages of HTML that need no network to be opened."""
