"""The subscriptions of one process: what every bus does after a message has arrived here."""

import threading
from collections import deque
from collections.abc import Callable

from foedus.ports.bus import BusUnavailable, Message, check_subject

MAX_WAITING = 10_000


class Inbox:
    """A subscription: messages wait here until ``next`` takes them. The oldest make room for the newest."""

    def __init__(self, subject: str, on_close: Callable[["Inbox"], None]) -> None:
        self.subject = subject
        self._on_close = on_close
        self._waiting: deque[Message] = deque(maxlen=MAX_WAITING)
        self._changed = threading.Condition()
        self._closed = False

    def put(self, message: Message) -> None:
        with self._changed:
            if not self._closed:
                self._waiting.append(message)
                self._changed.notify()

    def next(self, timeout_s: float | None) -> Message | None:
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._closed, timeout_s)
            return self._waiting.popleft() if self._waiting else None

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._waiting.clear()
            self._changed.notify_all()
        self._on_close(self)


class Subscribers:
    """The inboxes of a bus by subject. Threads may come and go while messages arrive."""

    def __init__(self) -> None:
        self._by_subject: dict[str, set[Inbox]] = {}
        self._lock = threading.Lock()
        self._closed = False

    def open(self, subject: str) -> Inbox:
        inbox = Inbox(check_subject(subject), self._forget)
        with self._lock:
            if self._closed:
                raise BusUnavailable("The bus has been closed.")
            self._by_subject.setdefault(subject, set()).add(inbox)
        return inbox

    def deliver(self, message: Message) -> None:
        """Hand ``message`` to the inboxes of its subject and of all subjects above it."""
        words = message.subject.split(".")
        with self._lock:  # held while delivering, so that every inbox sees one order
            for n in range(1, len(words) + 1):
                for inbox in self._by_subject.get(".".join(words[:n]), ()):
                    inbox.put(message)

    def wake(self) -> None:
        """Tell every inbox, on its own subject, that something may have been missed."""
        with self._lock:
            for subject, inboxes in self._by_subject.items():
                for inbox in inboxes:
                    inbox.put(Message(subject, b""))

    def close(self) -> None:
        with self._lock:
            self._closed = True
            inboxes = [inbox for some in self._by_subject.values() for inbox in some]
        for inbox in inboxes:
            inbox.close()

    def _forget(self, inbox: Inbox) -> None:
        with self._lock:
            same = self._by_subject.get(inbox.subject, set())
            same.discard(inbox)
            if not same:
                self._by_subject.pop(inbox.subject, None)
