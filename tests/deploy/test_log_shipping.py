"""The examples for shipping the log fit the unit; test_service.py has a daemon's lines for them."""

from __future__ import annotations

from tests.deploy.shipping import shipper
from tests.deploy.units import UNITS


def test_the_agent_reads_the_service_and_parses_its_message() -> None:
    """The example's input, filter and parser name each other, and the unit that there is."""
    found = shipper()
    (parser,), pipeline = found["parsers"], found["pipeline"]
    (source,), (step,) = pipeline["inputs"], pipeline["filters"]
    unit = source["systemd_filter"].removeprefix("_SYSTEMD_UNIT=")
    assert unit in {each.path.name for each in UNITS}
    assert (step["match"], step["parser"]) == (source["tag"], parser["name"])
    assert (step["key_name"], parser["format"]) == ("MESSAGE", "json")


def test_the_service_logs_to_the_journal() -> None:
    """Nothing in the unit leads its standard error elsewhere, nor gives it another form."""
    (service,) = (each for each in UNITS if each.path.name == "syncd.service")
    assert service.all("StandardError") in ([], ["journal"])
    assert not any("SYNCD_LOG" in each for each in service.all("Environment"))
