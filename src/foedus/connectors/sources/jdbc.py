"""Rows that a database gives for a query: PostgreSQL over the network, SQLite and DuckDB files below the open folder.

A query is the customer's, and runs as the customer's database user; here it may only read. A SQLite file is opened by
its handle, so that it is the file that was checked, and nothing but reading it is permitted to a query.
"""

import re
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, closing, contextmanager
from typing import Any, ClassVar
from urllib.parse import parse_qsl, unquote, urlsplit

from foedus.connectors.addresses import driver_of
from foedus.connectors.contents import Terms
from foedus.connectors.guarded import opened
from foedus.connectors.internet import is_public
from foedus.core.errors import Forbidden, Invalid, TooLarge
from foedus.core.symetryml.rows import Rows, batch_rows
from foedus.ports.sources import Info, Listing, Reading, SourceRefuses, SourceUnavailable

MAX_QUERY = 100_000
MAX_NAMES = 1000
_TABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,62}(?:\.[A-Za-z_][A-Za-z0-9_]{0,62})?")
_SQLITE_READS = frozenset(
    {sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_FUNCTION, getattr(sqlite3, "SQLITE_RECURSIVE", 33)}
)
Cursor = Any


class JdbcSource:
    """``info``: ``driver`` (postgresql, sqlite, duckdb), ``host``, ``port``, ``database``, ``user``, ``password``, or a
    ``url`` as JDBC writes it; and ``query``, or ``table`` for all of one.
    """

    OPTIONS: ClassVar[str] = "-c default_transaction_read_only=on"

    def __init__(self, terms: Terms) -> None:
        self._terms = terms
        self._drivers: dict[str, Callable[[Info], AbstractContextManager[Cursor]]] = {
            "postgresql": self._postgresql,
            "sqlite": self._sqlite,
            "duckdb": self._duckdb,
        }

    def read(self, info: Info) -> AbstractContextManager[Reading]:
        return self._reading(with_url(info))

    @contextmanager
    def _reading(self, info: Info) -> Iterator[Reading]:
        driver, query = self._driver(info), query_of(info)
        with driver(info) as cursor:
            yield Reading(self._rows(cursor, query))

    def browse(self, info: Info) -> Listing:
        """The tables."""
        info = with_url(info)
        query = (
            "SELECT name FROM sqlite_master WHERE type IN ('table', 'view')"
            if driver_name(info) == "sqlite"
            else "SELECT table_schema || '.' || table_name FROM information_schema.tables "
            "WHERE table_schema NOT IN ('pg_catalog', 'information_schema')"
        )
        with self._driver(info)(info) as cursor:
            names = [str(row[0]) for batch in self._rows(cursor, f"{query} ORDER BY 1") for row in batch.data]
        after = info.get("marker", "")
        later = [name for name in names if name > after]
        more = later[MAX_NAMES - 1] if len(later) > MAX_NAMES else ""
        return Listing("", files=tuple(later[:MAX_NAMES]), marker=more)

    def _driver(self, info: Info) -> Callable[[Info], AbstractContextManager[Cursor]]:
        return self._drivers[driver_name(info)]

    def _rows(self, cursor: Cursor, query: str) -> Iterator[Rows]:
        ends_at = time.monotonic() + self._terms.max_seconds
        with _translated():
            cursor.execute(query)
            if cursor.description is None:
                raise Invalid("the query gives no rows")
            names = tuple(str(column[0]) for column in cursor.description)
            while batch := cursor.fetchmany(batch_rows(len(names))):
                if time.monotonic() > ends_at:
                    raise TooLarge("the query takes longer than this server reads one source")
                yield Rows(names, [[_cell(value) for value in row] for row in batch])

    @contextmanager
    def _postgresql(self, info: Info) -> Iterator[Cursor]:
        with driver_of("postgres"):
            import psycopg
        host, port = info.get("host", ""), _port(info, 5432)
        database, user, password = (info.get(name, "") for name in ("database", "user", "password"))
        if not (host and database and user and password):
            raise Invalid("a PostgreSQL source has host, database, user and password")
        addresses = self._terms.guard.checked(host, port)
        with _translated(), closing(
            # All that libpq would otherwise look up in the server's environment and home is said here.
            psycopg.connect(
                host=host, hostaddr=str(addresses[0]), port=port, dbname=database, user=user, password=password,
                connect_timeout=10,
                passfile="/dev/null", sslcert="", sslkey="",
                sslmode="require" if is_public(addresses[0]) else "prefer", gssencmode="disable",
                options=self.OPTIONS, application_name="foedus",
            )
        ) as connection, connection.cursor(name="foedus") as cursor:  # fmt: skip
            yield cursor

    @contextmanager
    def _sqlite(self, info: Info) -> Iterator[Cursor]:
        with self._file(info) as path, _translated():
            ends_at = time.monotonic() + self._terms.max_seconds
            address = f"file:{path}?mode=ro&immutable=1"
            with closing(sqlite3.connect(address, uri=True, check_same_thread=False)) as connection:
                connection.set_authorizer(_permit)
                connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, 1 << 24)
                connection.set_progress_handler(lambda: time.monotonic() > ends_at, 100_000)
                yield connection.cursor()

    @contextmanager
    def _duckdb(self, info: Info) -> Iterator[Cursor]:
        with driver_of("duckdb"):
            import duckdb
        # Locked in this order: what a query might switch on again to reach other files, or the network.
        config: dict[str, Any] = {
            "enable_external_access": "false",
            "lock_configuration": "true",
            "memory_limit": "1GB",
            "threads": 1,
        }
        with self._file(info) as path:
            try:
                with closing(duckdb.connect(path, read_only=True, config=config)) as connection:
                    yield connection.cursor()
            except duckdb.Error as exc:
                raise SourceRefuses(f"the database refuses: {str(exc).splitlines()[0]}"[:300]) from None

    @contextmanager
    def _file(self, info: Info) -> Iterator[str]:
        """A path that leads to the file that was checked, whatever happens to its name meanwhile."""
        if self._terms.folder is None:
            raise Forbidden("this server reads no local files: its operator has not set FOEDUS_SOURCES_FOLDER")
        with opened(self._terms.folder, info.get("database") or info.get("path", "")) as handle:
            yield f"/proc/self/fd/{handle}"


class RedshiftSource(JdbcSource):
    """``info``: ``rsurl`` (``jdbc:redshift://host:5439/db``), ``rsuser``, ``rspasswd``, and ``query`` or ``table``.

    Redshift speaks as PostgreSQL does, and knows no option that keeps a session from writing: give a user who may read.
    """

    OPTIONS: ClassVar[str] = ""

    def read(self, info: Info) -> AbstractContextManager[Reading]:
        return super().read(_as_postgresql(info))

    def browse(self, info: Info) -> Listing:
        return super().browse(_as_postgresql(info))


def _as_postgresql(info: Info) -> Info:
    address = info.get("rsurl", "").strip().removeprefix("jdbc:").removeprefix("redshift:")
    told = {"url": f"postgresql:{address}", "user": info.get("rsuser", ""), "password": info.get("rspasswd", "")}
    found = {**with_url(told), "url": ""}
    return {**info, **found, "port": found.get("port") or "5439", "driver": "postgresql"}


def with_url(info: Info) -> Mapping[str, str]:
    """``jdbc:postgresql://host:5432/shop?user=...`` and ``jdbc:sqlite:shop.db`` taken apart. Raises Invalid."""
    url = (info.get("url") or "").strip().removeprefix("jdbc:")
    if not url:
        return info
    scheme, _, rest = url.partition(":")
    if not rest.startswith("//"):
        return {**info, "driver": scheme, "database": unquote(rest)}
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise Invalid("url is no address of a database") from None
    if scheme in ("sqlite", "duckdb"):
        return {**info, "driver": scheme, "database": unquote(parts.netloc + parts.path)}
    found = {
        "driver": scheme, "host": parts.hostname or "", "database": unquote(parts.path.lstrip("/")),
        "port": str(port or ""), "user": unquote(parts.username or ""), "password": unquote(parts.password or ""),
    }  # fmt: skip
    asked = {name: text for name, text in parse_qsl(parts.query) if name in ("user", "password")}
    return {**info, **{name: text for name, text in {**found, **asked}.items() if text}}


def driver_name(info: Info) -> str:
    """``postgresql``, ``sqlite`` or ``duckdb``, also from the name of a Java class. Raises Invalid."""
    text = info.get("driver", "").lower()
    for name in ("postgresql", "sqlite", "duckdb"):
        if name in text:
            return name
    if text in ("postgres", "pgsql"):
        return "postgresql"
    raise Invalid(f"there is no driver {text[:40]!r}; there are postgresql, sqlite and duckdb")


def query_of(info: Info) -> str:
    """Raises Invalid."""
    query, table = info.get("query", "").strip().rstrip(";"), info.get("table", "").strip()
    if bool(query) == bool(table):
        raise Invalid("a database source has either a query or a table")
    if table:
        if not _TABLE.fullmatch(table):
            raise Invalid("table is the plain name of a table, such as shop.orders; others take a query")
        return "SELECT * FROM " + ".".join(f'"{part}"' for part in table.split("."))  # noqa: S608 - checked above
    if len(query) > MAX_QUERY or not query.lower().startswith(("select", "with", "values", "table")):
        raise Invalid("a query begins with SELECT or WITH")
    return query


def _permit(action: int, first: Any, second: Any, *_: Any) -> int:  # noqa: ARG001 - SQLite's own order
    """What a query may do in SQLite: read, and call functions other than those that load code."""
    permitted = action in _SQLITE_READS and second != "load_extension"
    return sqlite3.SQLITE_OK if permitted else sqlite3.SQLITE_DENY


def _port(info: Info, default: int) -> int:
    text = info.get("port") or str(default)
    if not (text.isascii() and text.isdecimal() and len(text) < 6 and 0 < int(text) < 1 << 16):
        raise Invalid("port is a number from 1 to 65535")
    return int(text)


def _cell(value: Any) -> Any:
    """Numbers, texts and nothing; other values, such as dates and decimals, as their text."""
    if value is None or isinstance(value, str | int | float):
        return value
    return value.hex() if isinstance(value, bytes | memoryview) else str(value)


@contextmanager
def _translated() -> Iterator[None]:
    """What databases say about a query is of use to its author, and holds no password."""
    try:
        yield
    except sqlite3.Error as exc:
        raise SourceRefuses(f"the database refuses: {exc}"[:300]) from None
    except Exception as exc:
        kind: Any = type(exc)
        if not kind.__module__.startswith("psycopg"):
            raise
        said: Any = getattr(exc, "diag", None)
        text = ((said and said.message_primary) or str(exc).strip() or kind.__name__)[-300:]
        if kind.__name__ in ("OperationalError", "ConnectionTimeout", "AdminShutdown") and "FATAL" not in text:
            raise SourceUnavailable(f"the database does not answer: {text}") from None
        raise SourceRefuses(f"the database refuses: {text}") from None
