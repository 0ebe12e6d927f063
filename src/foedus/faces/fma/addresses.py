"""Where the files are: addresses that open for whoever may read what they belong to."""

from datetime import datetime

from django.http import HttpRequest

from foedus.ports import Ports
from foedus.services.aggregation import files

ROOT = "/mediafiles/"
UPDATES, AGGREGATES, ARTIFACTS = "model_updates", "model_aggregates", "model_artifacts"


class Addresses:
    """Addresses in one answer. With ``?signed=true`` they open for anybody, for an hour or two."""

    def __init__(self, request: HttpRequest, ports: Ports, now: datetime) -> None:
        self._request = request
        self._ports = ports
        self._now = now
        self._signed = request.GET.get("signed", "").lower() in ("1", "true")

    def path(self, folder: str, pk: int) -> str:
        address = f"{ROOT}{folder}/{pk}.json"
        if not self._signed:
            return address
        return f"{address}?{files.signature(self._ports, address, now=self._now)}"

    def absolute(self, folder: str, pk: int) -> str:
        return self.of(self.path(folder, pk))

    def of(self, path: str) -> str:
        return self._request.build_absolute_uri(path)
