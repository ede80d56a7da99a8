"""OpenID Connect: providers' keys and metadata, and whether a token is what it says."""
