"""A site with rows: what it learns of them is computed here, and statistics alone travel.

site = Site("https://foedus.example", token, customer="lab", project="blood")
site.learn(dataframe)
print(site.statistics().view(["age"]).mean)
"""

import hashlib
import ssl
from typing import Any, Self
from uuid import uuid4

import httpx

from foedus.core.statistics import MEDIA_TYPE, Plan, Statistics, decode, encode
from foedus.sdk.link import Link, content_digest, path
from foedus.sdk.tables import Kinds, batch_of

MAX_BYTES = 1 << 30


class Site:
    """One project of one customer, with an operator's token. Nothing is retried: call again, with the same ``key``.

    Raises: the errors of ``foedus.core.errors``.
    """

    def __init__(
        self, url: str, token: str, *, customer: str, project: str, transport: httpx.BaseTransport | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:  # fmt: skip
        self._link = Link(url, token, transport=transport, tls=tls)
        self._where = ("statistics", customer, "projects", project)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        self._link.close()

    def create(self, *, sketches: bool = False) -> None:
        """Make the project. Raises Conflict when it is there."""
        body = {"name": self._where[-1], "sketches": sketches}
        self._link.json("POST", path(*self._where[:-1]), body=body)

    def plan(self) -> Plan:
        """What the project keeps of rows."""
        found = self._link.json("GET", path(*self._where))["plan"]
        return Plan(targets=tuple(found["targets"]), products=found["products"], sketches=found["sketches"])

    def learn(self, rows: Any, kinds: Kinds | None = None, *, key: str | None = None, threads: int = 1) -> int:
        """Add rows to the project's statistics, exactly once; how many.

        ``rows``: a pandas or polars DataFrame, an Arrow table, a mapping of columns, or a NumPy array of records.
        ``kinds``: the kind of some columns, where their values do not tell. ``key``: names this batch; who calls again
        with the same key and rows, after a crash for example, adds them once.
        """
        value = Statistics.of(batch_of(rows, kinds or {}), self.plan(), threads=threads)
        self.contribute(value, key=key)
        return value.rows

    def contribute(self, value: Statistics, *, key: str | None = None) -> None:
        """Hand in statistics that were computed already, exactly once."""
        data = encode(value)
        headers = {
            "Content-Type": MEDIA_TYPE,
            "Content-Digest": content_digest(hashlib.sha256(data).hexdigest()),
        }
        where = path(*self._where, "contributions", key or uuid4().hex)
        self._link.json("PUT", where, content=data, headers=headers)

    def statistics(self) -> Statistics:
        """All that the project keeps now, to be explored here."""
        with self._link.stream("GET", path(*self._where, "statistics")) as response:
            return decode(response.read())
