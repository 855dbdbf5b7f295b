"""The page of a study, put together from its journal."""
