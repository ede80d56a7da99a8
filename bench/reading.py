"""Reads and decodes every user and role, nothing more: ``python -m bench.reading URL``.

The limit of what a full sync can reach, as a whole command like the others.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from bench import workload
from syncd.ldap.ber import decode_entry
from syncd.ldap.connection import Connection, ConnectionOptions
from syncd.ldap.search import SearchRequest
from syncd.records import Scope
from tests.servers.slapd import PEOPLE, READER, ROLES


def peak_rss_bytes() -> int:
    """Return VmHWM, this process's own peak since it was started."""
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return 0


def read(url: str) -> dict[str, int]:
    """Return how many entries there were, and the peak memory."""
    options = ConnectionOptions(
        urls=(url,),
        bind_dn=READER.dn,
        password=READER.password,
        insecure_clear_text_bind=True,
    )
    entries = 0
    searches = (
        (PEOPLE, workload.USER_FILTER, workload.USER_ATTRIBUTES),
        (ROLES, workload.ROLE_FILTER, workload.ROLE_ATTRIBUTES),
    )
    with Connection.open(options) as connection:
        for base_dn, search_filter, attributes in searches:
            request = SearchRequest(
                base_dn=base_dn,
                scope=Scope.SUBTREE,
                filter=search_filter,
                attributes=attributes,
                page_size=workload.PAGE_SIZE,
            )
            for page in connection.listing(request):
                for raw in page:
                    decode_entry(raw)
                entries += len(page)
    return {"entries": entries, "peak_rss_bytes": peak_rss_bytes()}


if __name__ == "__main__":
    print(json.dumps(read(sys.argv[1])))
