"""Tables and live displays."""
