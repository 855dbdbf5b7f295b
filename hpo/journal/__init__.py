"""What happened in a study: events, the file that keeps them and the state that follows from them."""
