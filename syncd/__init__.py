"""syncd keeps an organization's people in step with where they are managed."""

__version__ = "0.1.0"
