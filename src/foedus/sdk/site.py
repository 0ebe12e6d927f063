"""A site with rows: what it learns of them is computed here, and statistics alone travel.

site = Site("https://foedus.example", token, customer="lab", project="blood")
site.learn(dataframe)
site.build("m", "mlr", inputs=["age"], targets=["bmi"])
print(site.predict("m", dataframe)["res"])
"""

import hashlib
import ssl
from collections.abc import Sequence
from typing import Any, Self
from uuid import uuid4

import httpx
from numpy.typing import NDArray

from foedus.core.statistics import MEDIA_TYPE, Plan, Statistics, decode, encode
from foedus.sdk.built import BuiltModel, blocks_of, joined
from foedus.sdk.link import Link, content_digest, path
from foedus.sdk.tables import Kinds, batch_of

MAX_BYTES = 1 << 30
BUILD_S = 300.0  # that a model may take


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

    def create(self, *, sketches: bool = False, targets: Sequence[str] = ()) -> None:
        """Make the project. ``targets``: binary columns and categories for each level of which all moments are kept,
        for quadratic discriminants. Raises Conflict when it is there.
        """
        body: dict[str, Any] = {"name": self._where[-1], "sketches": sketches}
        if targets:
            body |= {"kind": "partition", "params": {"partitionSplit": ",".join(targets)}}
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

    def explore(
        self, metric: str, inputs: Sequence[str] = (), targets: Sequence[str] = (), **options: Any
    ) -> dict[str, Any]:
        """What the project's statistics say of columns: ``uni``, ``correlation``, ``pca`` and all other metrics. None
        where there is no number.
        """
        body = {"metric": metric, "inputs": list(inputs), "targets": list(targets), "options": options}
        answer: dict[str, Any] = self._link.json("POST", path(*self._where, "explore"), body=body)["answer"]
        return answer

    def build(
        self, name: str, algorithm: str, inputs: Sequence[str] = (), targets: Sequence[str] = (), **options: Any
    ) -> BuiltModel:
        """A model of the statistics as they are now, kept under ``name``. Options are those of the algorithm."""
        body = {
            "name": name, "algorithm": algorithm, "inputs": list(inputs), "targets": list(targets), "options": options,
        }  # fmt: skip
        return BuiltModel.of(self._link.json("POST", path(*self._where, "models"), body=body, answer_s=BUILD_S))

    def predict(
        self, name: str, rows: Any, kinds: Kinds | None = None, *, impute: bool = False
    ) -> dict[str, NDArray[Any]]:
        """What a model says of rows, as many as there are: its outputs by name. ``rows`` as for ``learn``; a missing
        value counts as the mean, or by ``impute`` as what the others of its row make likely.
        """
        where = path(*self._where, "models", name, "predictions")
        bodies = ({"columns": block, "impute": impute} for block in blocks_of(rows, kinds or {}))
        return joined([self._link.json("POST", where, body=body, answer_s=BUILD_S)["columns"] for body in bodies])

    def models(self) -> list[BuiltModel]:
        """All models of the project, without their numbers."""
        return [BuiltModel.of(each) for each in self._link.json("GET", path(*self._where, "models"))["items"]]

    def model(self, name: str) -> BuiltModel:
        """A model with its numbers. Raises NotFound."""
        return BuiltModel.of(self._link.json("GET", path(*self._where, "models", name)))

    def delete_model(self, name: str) -> None:
        """Raises NotFound."""
        self._link.json("DELETE", path(*self._where, "models", name))

    def export(self, name: str, form: str = "foedus") -> bytes:
        """A model for other programs: ``onnx``, ``pmml``, ``java``, ``sql``; or ``foedus``, for servers like this."""
        where = path(*self._where, "models", name, "export")
        with self._link.stream("GET", where, params={"format": form}) as response:
            return response.read()

    def statistics(self) -> Statistics:
        """All that the project keeps now, to be explored here."""
        with self._link.stream("GET", path(*self._where, "statistics")) as response:
            return decode(response.read())
