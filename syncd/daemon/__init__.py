"""The service: a supervisor, the sync workers and the web process that it spawns."""
