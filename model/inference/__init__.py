"""From network outputs over chunks to spots over halves."""
