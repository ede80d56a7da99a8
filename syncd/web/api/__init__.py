"""The REST API below ``/api/v1``: requests in, plain values of ``syncd.app`` out, all as JSON."""
