"""Changes made by hand: one transaction each, with its journal and its place in the feed."""
