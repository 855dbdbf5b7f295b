"""Labels of actions: files of games, and annotations as tools of the field write them."""
