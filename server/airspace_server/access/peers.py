"""Which service account a client is that shows a certificate and no token.

The listener has asked for the certificate and checked it against the operator's authorities. That alone makes nobody a
caller: an authority may have given certificates to many. Who counts stands in a list of the operator's, by what the
certificate is for (its subject alternative names, URIs and DNS names). Its subject is not asked.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from airspace_server import certificates


@dataclass(frozen=True, slots=True)
class Peers:
    """The list: service accounts by names of certificates, "URI:spiffe://example.org/ci" or "DNS:ci.example.org"."""

    accounts: Mapping[str, str]

    def account(self, certificate: bytes, now: float) -> str | None:
        """Return the account that a verified certificate (PEM) stands for at `now`, in seconds; None for nobody.

        Connections outlive certificates, so one that has expired since is nobody's. One that has names of several
        accounts is too: nobody could say which.
        """
        shown = certificates.shown(certificate)
        found = {self.accounts[name] for name in shown.names if name in self.accounts}
        return found.pop() if len(found) == 1 and now < shown.expires_at else None


NO_PEERS: Final = Peers({})
"""The list without entries."""
