"""Servers of a thread for each connection, of which there are only so many."""

import socketserver
import threading
from typing import Any


class Bounded(socketserver.ThreadingMixIn):
    """Each connection has a thread and a file: beyond ``places`` of them nobody is let in, and may come again."""

    daemon_threads = True
    places: threading.BoundedSemaphore

    def process_request(self, request: Any, client_address: Any) -> None:
        if self.places.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)  # type: ignore[attr-defined] # of the server that this is mixed into

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self.places.release()
