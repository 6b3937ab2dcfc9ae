"""Sends the messages of the outbox, however many senders there are and whatever ends them.

A message is leased, sent, and then what became of it is written down. A sender that ends in between has sent it or not:
once its lease is over another one sends it again, with the same id. So every message is sent at least once.

Scopes take turns, and each has few messages under way. Those that may be in vain, because they were tried before or
their target did not take the last one, have only half of the threads: others do not wait for targets that are dead.
"""

import logging
import random
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from airspace_server.core.clock import Clock
from airspace_server.core.notifications import (
    MAX_ATTEMPTS,
    Channel,
    DeliveryState,
    NotTakenError,
    Target,
    UndeliverableError,
    wait,
)
from airspace_server.core.scope import Scope
from airspace_server.storage import notifications
from airspace_server.storage.database import Database
from airspace_server.storage.notifications import Delivery

LOOK_SECONDS: Final = 1.0
"""How often a sender looks for messages that are due."""
THREADS: Final = 32
"""How many messages one sender has under way at most."""
OF_A_SCOPE: Final = 4
"""How many of one scope."""
_SEEN: Final = 200

_log: Final = logging.getLogger(__name__)

Send = Callable[[Delivery], None]
"""Sends a message. Raises UndeliverableError and NotTakenError."""


class Sender:
    """Sends what is due whenever `send` is called, and goes on until nothing is. Safe to run in several processes."""

    def __init__(self, database: Database, channels: Mapping[Channel, Send], clock: Clock) -> None:
        self._database = database
        self._channels = channels
        self._clock = clock
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="notifications")
        self._lock = threading.Lock()
        self._under_way: Counter[Scope] = Counter()
        self._in_vain: set[str] = set()
        self._dead: set[tuple[Scope, Target]] = set()
        self._closed = False

    def send(self) -> None:
        """Begin to send what is due and there is room for. Raises what the database raises."""
        with self._lock:
            if self._closed or self._under_way.total() >= THREADS:
                return
            now = self._clock()
            with self._database.read(across=True) as tx:
                found = notifications.due(tx, now, _SEEN)
            for delivery in filter(self._has_room, found):
                with self._database.write(across=True) as tx:
                    if not notifications.lease(tx, delivery, now):
                        continue  # another sender was faster
                self._under_way[delivery.scope] += 1
                if self._may_be_in_vain(delivery):
                    self._in_vain.add(delivery.id)
                self._pool.submit(self._sent, delivery)

    def close(self) -> None:
        """Let what is under way come to its end, and begin nothing more."""
        with self._lock:
            self._closed = True
        self._pool.shutdown()

    def _has_room(self, delivery: Delivery) -> bool:
        return (
            self._under_way.total() < THREADS
            and self._under_way[delivery.scope] < OF_A_SCOPE
            and (len(self._in_vain) < THREADS // 2 or not self._may_be_in_vain(delivery))
        )

    def _may_be_in_vain(self, delivery: Delivery) -> bool:
        return delivery.attempts > 0 or (delivery.scope, delivery.target) in self._dead

    def _sent(self, delivery: Delivery) -> None:
        """Send a message that was leased, write down what became of it, and look for the next."""
        try:
            self._settle(delivery)
        except Exception:
            _log.exception("what became of notification %s could not be written down; it is sent again", delivery.id)
        with self._lock:
            self._under_way[delivery.scope] -= 1
            self._in_vain.discard(delivery.id)
        try:
            self.send()
        except Exception:
            _log.exception("notifications could not be looked for; they are tried again")

    def _settle(self, delivery: Delivery) -> None:
        state, reason, after = self._outcome(delivery)
        with self._lock:
            seen = self._dead.add if state in (DeliveryState.WAITING, DeliveryState.GIVEN_UP) else self._dead.discard
            seen((delivery.scope, delivery.target))
        now = self._clock()
        then = None if after is None else now + after
        with self._database.write(delivery.scope) as tx:
            notifications.settle(tx, delivery, state, reason, now, then)

    def _outcome(self, delivery: Delivery) -> tuple[DeliveryState, str, int | None]:
        """Send a message; say what became of it, why, and in how many microseconds it is tried again."""
        attempts = delivery.attempts + 1
        try:
            self._channels[delivery.target.channel](delivery)
        except UndeliverableError as error:
            return DeliveryState.FAILED, str(error), None
        except NotTakenError as error:
            reason, after = str(error), error.after
        except Exception:
            _log.exception("notification %s could not be sent", delivery.id)
            reason, after = "a fault of the server, which its log has", 0
        else:
            return DeliveryState.DELIVERED, "", None
        if attempts >= MAX_ATTEMPTS:
            return DeliveryState.GIVEN_UP, reason, None
        return DeliveryState.WAITING, reason, max(after, wait(attempts, random.random()))  # noqa: S311 -- no secret
