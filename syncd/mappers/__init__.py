"""From directory entries to people and roles: pure rules, compiled once, run once an entry."""
