"""What monitoring is told: the metrics, and the listener that a Prometheus server scrapes.

The one room that knows prometheus_client. It is fed with reports and never asks anybody but the
``share`` callable, once per scrape at most.
"""

from __future__ import annotations

from syncd.metrics.collector import Configured, Metrics
from syncd.metrics.listener import Listener

__all__ = ["Configured", "Listener", "Metrics"]
