"""As much of ldap3 2.9.1 as the project touches."""

import socket
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Self

from ldap3.core.tls import Tls as Tls
from ldap3.strategy.sync import SyncStrategy

ANONYMOUS: Final = "ANONYMOUS"
SIMPLE: Final = "SIMPLE"
SYNC: Final = "SYNC"
NONE: Final = "NO_INFO"
BASE: Final = "BASE"
LEVEL: Final = "LEVEL"
SUBTREE: Final = "SUBTREE"
DEREF_NEVER: Final = "NEVER"
AUTO_BIND_NONE: Final = "NONE"
MODIFY_ADD: Final = "MODIFY_ADD"
MODIFY_DELETE: Final = "MODIFY_DELETE"
MODIFY_REPLACE: Final = "MODIFY_REPLACE"

class Server:
    host: str
    port: int
    name: str
    ssl: bool
    tls: Tls
    connect_timeout: float | None
    def __init__(
        self,
        host: str,
        port: int | None = None,
        use_ssl: bool = False,
        allowed_referral_hosts: Sequence[tuple[str, bool]] | None = None,
        get_info: str = ...,
        tls: Tls | None = None,
        formatter: object = None,
        connect_timeout: float | None = None,
    ) -> None: ...
    @staticmethod
    def next_message_id() -> int: ...

class Connection:
    server: Server
    socket: socket.socket | None
    strategy: SyncStrategy
    closed: bool
    listening: bool
    tls_started: bool
    starting_tls: bool
    receive_timeout: float | None
    password: str | bytes | None
    result: dict[str, Any] | None
    response: list[dict[str, Any]] | None
    send: Callable[..., int]
    open: Callable[..., None]
    get_response: Callable[..., Any]
    post_send_single_response: Callable[..., Any]
    post_send_search: Callable[..., Any]
    def __init__(
        self,
        server: Server,
        user: str | None = None,
        password: str | bytes | None = None,
        auto_bind: str | bool = ...,
        version: int = 3,
        authentication: str | None = None,
        client_strategy: str = ...,
        auto_referrals: bool = True,
        auto_range: bool = True,
        check_names: bool = True,
        read_only: bool = False,
        raise_exceptions: bool = False,
        receive_timeout: float | None = None,
        return_empty_attributes: bool = True,
    ) -> None: ...
    def __enter__(self) -> Self: ...
    def __exit__(self, *exception: object) -> bool | None: ...
    def bind(self, read_server_info: bool = True, controls: object = None) -> bool: ...
    def unbind(self, controls: object = None) -> bool: ...
    def start_tls(self, read_server_info: bool = True) -> bool: ...
    def add(
        self,
        dn: str,
        object_class: str | Sequence[str] | None = None,
        attributes: Mapping[str, object] | None = None,
        controls: object = None,
    ) -> bool: ...
    def modify(self, dn: str, changes: Mapping[str, object], controls: object = None) -> bool: ...
    def delete(self, dn: str, controls: object = None) -> bool: ...
    def modify_dn(
        self,
        dn: str,
        relative_dn: str,
        delete_old_dn: bool = True,
        new_superior: str | None = None,
        controls: object = None,
    ) -> bool: ...
    def search(
        self,
        search_base: str,
        search_filter: str,
        search_scope: str = ...,
        dereference_aliases: str = ...,
        attributes: Sequence[str] | str | None = None,
        size_limit: int = 0,
        paged_size: int | None = None,
        paged_cookie: bytes | str | None = None,
    ) -> bool: ...
