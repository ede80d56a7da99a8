"""The demo: a small company in an embedded directory, and syncd's own command at work on it."""
