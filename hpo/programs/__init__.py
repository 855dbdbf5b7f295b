"""What each kind of stage tries next, decided by the trials so far: a resumed stage goes on by itself."""
