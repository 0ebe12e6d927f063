"""What a developer does with FMA's API: make a model, look at it, publish an aggregate."""

import ssl
from typing import Any, Self

import httpx

from foedus.core.errors import Invalid
from foedus.sdk.fma.client import PREFIX
from foedus.sdk.fma.weights import listed, schema_of, weights_of
from foedus.sdk.link import Link


class FmaDeveloper:
    """Calls with a developer's token. ``developer`` is the number of its account. Raises: the errors of foedus."""

    def __init__(
        self,
        url: str,
        token: str,
        *,
        developer: int = 1,
        transport: httpx.BaseTransport | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        if not token.isascii() or not token.isprintable() or not token or " " in token:
            raise Invalid("a token is one word of ASCII characters; this one has been damaged")
        self._developer = developer
        self._link = Link(url, transport=transport, tls=tls, prefix=PREFIX)
        self._headers = {"Authorization": f"Token {token}"}

    def close(self) -> None:
        self._link.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def create_model(self, name: str, model: Any, **fields: Any) -> int:
        """A model to be trained, from what ``push`` takes; the number that clients name.

        Updates must have its form and its shapes. ``fields``: those of the API, for example ``aggregator``,
        ``requirement``, ``requirement_args``, ``furthest_base_agg``, ``allow_aggregation`` (here true).
        """
        body = {
            "name": name,
            "developer": self._developer,
            "aggregator": "average_layers",
            "requirement": "all_clients",
            "allow_aggregation": True,
            "initial_model": listed(weights_of(model)),
            "update_schema": schema_of(model),
            **fields,
        }
        return int(self._call("POST", "/models/", body)["id"])

    def change_model(self, model: int, **fields: Any) -> dict[str, Any]:
        """The model with these of its fields changed."""
        return dict(self._call("PATCH", f"/models/{model}/", fields))

    def model(self, model: int) -> dict[str, Any]:
        return dict(self._call("GET", f"/models/{model}/"))

    def aggregates(self, model: int) -> list[dict[str, Any]]:
        """The newest aggregates, with what clients said of them in ``validation_score``."""
        query = {"federated_model": model, "page_size": 20}
        return list(self._link.json("GET", "/model_aggregates/", params=query, headers=self._headers))

    def publish(self, aggregate: int, version: str) -> dict[str, Any]:
        """Make an aggregate the model's current artifact."""
        return dict(self._call("POST", f"/model_aggregates/{aggregate}/publish_aggregate/", {"version": version}))

    def _call(self, method: str, path: str, body: Any = None) -> Any:
        return self._link.json(method, path, body=body, headers=self._headers)
