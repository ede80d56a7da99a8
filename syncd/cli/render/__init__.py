"""Turns each report into the lines and tables that a person reads; pure, without rich."""
