"""``--watch``: what a command shows, again whenever an event of one of its projects arrives. Nothing is polled."""

import threading
from collections.abc import Callable, Collection

import click
from rich.console import Console
from rich.live import Live

from foedus.cli.showing import Picture
from foedus.core.errors import PlatformError
from foedus.sdk import Operator, Stop

Read = Callable[[], tuple[Picture, Collection[str]]]


def watch(operator: Operator, read: Read, *, as_json: bool) -> None:
    """Show what ``read`` gives (a picture, and the keys of the projects in it) until Ctrl-C; raises its errors."""
    console = Console()
    followers = _Followers(operator)
    live = console.is_terminal and not console.is_dumb_terminal and not as_json
    try:
        if live:
            with Live(console=console, auto_refresh=False) as screen:
                _keep(followers, read, lambda picture: screen.update(picture.drawing, refresh=True))
        else:
            _keep(followers, read, _News(as_json=as_json).say)
    except KeyboardInterrupt:
        return  # how a watch ends
    finally:
        followers.stop()


def _keep(followers: "_Followers", read: Read, show: Callable[[Picture], None]) -> None:
    while True:
        picture, keys = read()
        followers.follow(keys)
        show(picture)
        if not keys:
            return
        followers.wait()


class _News:
    """Prints lines that the picture before did not have."""

    def __init__(self, *, as_json: bool) -> None:
        self._as_json = as_json
        self._before: frozenset[str] = frozenset()

    def say(self, picture: Picture) -> None:
        lines = picture.lines(as_json=self._as_json)
        for line in lines:
            if line not in self._before:
                click.echo(line)  # which flushes
        self._before = frozenset(lines)


class _Followers:
    """A thread a project reads its events; each of them is a reason to look again.

    The server begins with the first event there is, so that none between looking and following is missed.
    """

    def __init__(self, operator: Operator) -> None:
        self._operator = operator
        self._changed = threading.Event()
        self._stop = Stop()
        self._threads: dict[str, threading.Thread] = {}
        self._errors: dict[str, PlatformError] = {}

    def follow(self, keys: Collection[str]) -> None:
        """Follow what is not followed yet. Raises the error of a project that is still there but cannot be followed."""
        for key in keys:
            if key in self._errors:
                raise self._errors[key]
            if key not in self._threads:
                self._threads[key] = threading.Thread(target=self._listen, args=(key,), name=f"follow {key}")
                self._threads[key].start()
        for gone in self._threads.keys() - set(keys):
            self._threads.pop(gone)
            self._errors.pop(gone, None)

    def wait(self) -> None:
        """Until something happened since the last time."""
        self._changed.wait()
        self._changed.clear()

    def stop(self) -> None:
        self._stop.set()

    def _listen(self, key: str) -> None:
        try:
            for _ in self._operator.events(key, after=0, stop=self._stop):
                self._changed.set()
        except PlatformError as exc:
            self._errors[key] = exc
            self._changed.set()
