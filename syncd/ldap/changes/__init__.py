"""What changed in a directory since it was last read, and which way of asking fits it."""
