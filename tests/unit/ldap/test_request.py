"""The encoding of searches, against ldap3's own."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ldap3 import DEREF_NEVER, SUBTREE
from ldap3.operation.search import search_operation
from ldap3.protocol.rfc4511 import ProtocolOp
from ldap3.utils.asn1 import encode

from syncd.errors import SearchRejected
from syncd.ldap.filters import escape
from syncd.ldap.messages import Control
from syncd.ldap.search import SearchRequest
from syncd.records import Scope


def _request(**changes: object) -> SearchRequest:
    values: dict[str, object] = {
        "base_dn": "ou=people,dc=x",
        "scope": Scope.SUBTREE,
        "filter": "(uid=a)",
        "attributes": ("uid", "cn"),
    }
    return SearchRequest(**(values | changes))  # type: ignore[arg-type]


def _by_ldap3(filter_text: str) -> bytes:
    operation = search_operation(
        "ou=people,dc=x",
        filter_text,
        SUBTREE,
        DEREF_NEVER,
        ["uid", "cn"],
        0,
        0,
        types_only=False,
        auto_escape=False,
        auto_encode=False,
    )
    return encode(ProtocolOp().setComponentByName("searchRequest", operation))


# ldap3 strips spaces at the ends of values, so these have none there.
_values = st.binary(min_size=1, max_size=12).map(lambda value: escape(b"x" + value + b"x"))
_names = st.sampled_from(["uid", "cn;lang-de", "2.5.4.3"])
_items = st.one_of(
    st.builds("({}={})".format, _names, _values),
    st.builds("({}>={})".format, _names, _values),
    st.builds("({}<={})".format, _names, _values),
    st.builds("({}~={})".format, _names, _values),
    st.builds("({}={}*)".format, _names, _values),
    st.builds("({}=*{}*{})".format, _names, _values, _values),
    st.builds("({}=*)".format, _names),
)
_filters = st.recursive(
    _items,
    lambda inner: st.one_of(
        st.builds("(!{})".format, inner),
        st.builds("(&{}{})".format, inner, inner),
        st.builds("(|{}{})".format, inner, inner),
    ),
    max_leaves=6,
)


class TestEncode:
    @settings(max_examples=60, deadline=None)
    @given(_filters)
    def test_as_ldap3(self, filter_text: str) -> None:
        """A search goes out byte for byte as ldap3 would send it."""
        assert _request(filter=filter_text).encode() == _by_ldap3(filter_text)

    @pytest.mark.parametrize(
        ("filter_text", "coded"),
        [
            ("(&)", b"\xa0\x00"),
            ("(|)", b"\xa1\x00"),
            ("(cn= a )", b"\xa3\x09\x04\x02cn\x04\x03 a "),
            ("(cn=)", b"\xa3\x06\x04\x02cn\x04\x00"),
            ("(cn:dn:2.4.6:=a)", b"\xa9\x11\x81\x052.4.6\x82\x02cn\x83\x01a\x84\x01\xff"),
            ("(:2.4.6:=a)", b"\xa9\x0a\x81\x052.4.6\x83\x01a"),
        ],
    )
    def test_where_ldap3_errs(self, filter_text: str, coded: bytes) -> None:
        """Absolute filters, spaces in values and extensible matches are sent as written."""
        assert coded in _request(filter=filter_text).encode()

    @pytest.mark.parametrize("filter_text", ["", "uid=a", "(uid=a", "(=)", r"(cn=\zz)"])
    def test_broken(self, filter_text: str) -> None:
        """What is no filter is refused before anything is sent."""
        with pytest.raises(SearchRejected, match="filter"):
            _request(filter=filter_text).encode()


class TestAsLdapsearch:
    @pytest.mark.rule("2.16.3", server="pure")
    def test_plain(self) -> None:
        """The command names server, TLS, account, base, scope, paging, filter and attributes."""
        assert _request().as_ldapsearch("ldap://h", "cn=a b,dc=x") == (
            "ldapsearch -x -LLL -o ldif-wrap=no -H ldap://h -ZZ -D 'cn=a b,dc=x' -W "
            "-b ou=people,dc=x -s sub -E '!pr=1000/noprompt' '(uid=a)' uid cn"
        )

    def test_controls(self) -> None:
        """Further controls and limits are part of the command."""
        control = Control("1.2.3", critical=True, value=b"\x00\xff")
        request = _request(controls=(control, Control("4.5")), page_size=None, size_limit=7)
        coded = base64.b64encode(b"\x00\xff").decode()
        assert f"-E '!1.2.3::{coded}' -E 4.5 -z 7" in request.as_ldapsearch("ldaps://h", None)

    def test_quoting(self) -> None:
        """Nothing of a value becomes a part of the shell's command."""
        text = _request(filter="(cn='; rm -rf $HOME)").as_ldapsearch("ldaps://h", None)
        assert """'(cn='"'"'; rm -rf $HOME)'""" in text
