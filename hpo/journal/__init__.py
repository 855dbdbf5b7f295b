"""Events of a study, the file that stores them, and the state that follows from them."""
