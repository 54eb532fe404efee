"""Orders and the positions that they lead to."""
