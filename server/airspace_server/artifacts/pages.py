"""Pages: URLs by which a browser shows what a task wrote, each of them once.

A URL stands in histories, logs and chats. Whoever finds one there finds one that has been used.
"""

from typing import Final

from sqlalchemy import bindparam, delete

from airspace_server.artifacts.signing import MAX_LIFETIME, UrlGrant, denied
from airspace_server.core.clock import MICROSECONDS, Clock
from airspace_server.storage.database import Database, scoped
from airspace_server.storage.tables import UsedUrlRow, table

_USED: Final = table(UsedUrlRow)
_FORGET: Final = delete(_USED).where(scoped(_USED), _USED.c.expires_at <= bindparam("long_ago"))


class UsedPages:
    """Remembers which pages have been shown, for all processes of a server."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def use(self, grant: UrlGrant) -> None:
        """Use up a verified URL of a page. Raises PERMISSION_MISSING, as for any URL that is not valid, when it was."""
        with self._database.write(grant.scope) as tx:
            # Long expired: what was verified at its last moment may come here late, and must not be let in twice.
            tx.execute(_FORGET, long_ago=self._clock() // MICROSECONDS - MAX_LIFETIME)
            if not tx.insert_new(_USED, {"token": grant.page, "expires_at": grant.expires_at}):
                raise denied()
