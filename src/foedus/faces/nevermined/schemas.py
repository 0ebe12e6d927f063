"""This dialect's words for pages, orders and versions."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from math import ceil
from typing import Any, Self

from django.http import QueryDict

from foedus.core.codecs.strict_json import parse
from foedus.core.errors import Invalid
from foedus.core.market.dids import Did
from foedus.core.market.documents import MAX_DEPTH, check_characters
from foedus.core.market.fields import text
from foedus.core.market.search import MAX_PATH_CHARACTERS, Query, read_query
from foedus.faces.nevermined.calls import Call
from foedus.records.market.models import Asset
from foedus.services.market.bought import agreement_of
from foedus.services.market.catalogue import MAX_PAGE
from foedus.services.market.parties import party_of
from foedus.services.market.signatures import check_signed
from foedus.services.shell.authorisation import Actor

_TOKEN = re.compile(r"[A-Za-z0-9!#$&+.^_`|~-]{1,200}")
DEFAULT_SIZE = 100
MAX_ORDERS = 5


@dataclass(frozen=True, slots=True)
class Search:
    """A query with a page of its results: ``size`` of them (the wire calls it ``offset``), ``page`` from 1."""

    query: Query
    order: tuple[tuple[str, bool], ...]
    size: int
    page: int
    unlisted: bool

    @classmethod
    def of_body(cls, fields: Mapping[str, Any]) -> Self:
        return cls(
            read_query(fields.get("query")),
            _order(fields.get("sort")),
            _whole(fields.get("offset"), "offset", DEFAULT_SIZE, MAX_PAGE),
            _whole(fields.get("page"), "page", 1, 10**9),
            _flag(fields.get("show_unlisted", False)),
        )

    @classmethod
    def of_address(cls, fields: QueryDict) -> Self:
        text, sort = fields.get("text", ""), fields.get("sort")
        try:
            order = parse(sort.encode(), max_depth=MAX_DEPTH) if sort else None
        except (Invalid, UnicodeEncodeError) as exc:
            raise Invalid(f"sort is JSON: {exc}", field="sort") from exc
        check_characters({"sort": order})
        query = {"query_string": {"query": text}} if text else None
        body = {"query": query, "sort": order, "show_unlisted": fields.get("show_unlisted", "false")}
        return cls.of_body({**body, **{key: fields[key] for key in ("offset", "page") if key in fields}})

    def answer(self, found: list[Asset], total: int) -> str:
        """A page, as JSON in which every document stands as it is stored."""
        documents = ", ".join(asset.document for asset in found)
        return (
            f'{{"results": [{documents}], "page": {self.page}, '
            f'"total_pages": {ceil(total / self.size)}, "total_results": {total}}}'
        )

    @property
    def window(self) -> slice:
        return slice((self.page - 1) * self.size, self.page * self.size)


@dataclass(frozen=True, slots=True)
class Old:
    """What clients sent before there were tokens: an agreement, and its consumer's signature of its id."""

    agreement: str
    stated: str
    consumer: str
    signature: str

    @classmethod
    def of(cls, call: Call) -> Self:
        fields = call.form()
        stated, consumer, signature = (
            text(fields, key, "query") for key in ("serviceAgreementId", "consumerAddress", "signature")
        )
        return cls(agreement_of(stated), stated, consumer, signature)

    def party(self, call: Call) -> Actor:
        """Who asks. Raises BadSignature."""
        texts = dict.fromkeys((self.stated, self.agreement, f"0x{self.agreement}"))
        return party_of(check_signed(self.consumer, self.signature, texts, now=call.now), now=call.now)


def filename_as_it_is(name: str) -> bool:
    """Whether a header can carry the name without quotes."""
    return bool(_TOKEN.fullmatch(name))


def status_of(asset: Asset, url: str) -> dict[str, Any]:
    """``verification`` is ours: by which rule the DID came about, and what its proof says in which form."""
    about = {"id": asset.did, "type": asset.type, "status": "ACCEPTED", "url": url}
    did = str(Did.parse(str(asset)))
    return {"did": did, "internal": about, "external": None, "verification": asset.verification}


def when(at: datetime) -> str:
    """In UTC and whole seconds."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _order(sort: Any) -> tuple[tuple[str, bool], ...]:
    """``{path: 1 | -1}``, ``[path, {path: "desc"}, {path: {"order": "asc"}}]``: the forms that clients send.

    ``1`` or ``-1`` alone is by the time of creation.
    """
    if sort in (1, -1) and not isinstance(sort, bool):
        sort = {"created": sort}
    parts = [] if sort is None else sort if isinstance(sort, list) else [sort]
    found: list[tuple[str, bool]] = []
    for part in parts:
        named = {part: "asc"} if isinstance(part, str) else part
        if not isinstance(named, dict):
            raise Invalid("sort names paths, each with asc or desc", field="sort")
        found.extend((_path(path), _descends(direction)) for path, direction in named.items() if path != "_score")
    if len(found) > MAX_ORDERS:
        raise Invalid(f"at most {MAX_ORDERS} paths are sorted by", field="sort")
    return tuple(found)


def _path(path: str) -> str:
    if not 0 < len(path) <= MAX_PATH_CHARACTERS:
        raise Invalid(f"a path to sort by has 1 to {MAX_PATH_CHARACTERS} characters", field="sort")
    return path.removesuffix(".keyword")


def _descends(direction: Any) -> bool:
    wanted = direction.get("order", "asc") if isinstance(direction, dict) else direction
    if wanted in (1, "1", "asc"):
        return False
    if wanted in (-1, "-1", "desc"):
        return True
    raise Invalid("sort goes by asc or desc", field="sort")


def _whole(value: Any, name: str, default: int, most: int) -> int:
    if value is None:
        return default
    try:
        number = int(value) if isinstance(value, int | str) and not isinstance(value, bool) else 0
    except ValueError:
        number = 0
    if not 1 <= number <= most:
        raise Invalid(f"{name} is a whole number from 1 to {most}", field=name)
    return number


def _flag(value: Any) -> bool:
    return str(value).lower() in ("true", "1")
