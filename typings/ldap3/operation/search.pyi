from collections.abc import Sequence

from ldap3.protocol.rfc4511 import SearchRequest

def search_operation(
    search_base: str,
    search_filter: str,
    search_scope: str,
    dereference_aliases: str,
    attributes: Sequence[str],
    size_limit: int,
    time_limit: int,
    types_only: bool,
    auto_escape: bool,
    auto_encode: bool,
    schema: object = None,
    validator: object = None,
    check_names: bool = False,
) -> SearchRequest: ...
