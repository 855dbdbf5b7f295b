"""Data folders: their description, lists of games, feature files and names."""
