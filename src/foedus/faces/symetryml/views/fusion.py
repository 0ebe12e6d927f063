"""Fusion projects and their cells; and, on the side of a cell, what it hands over and to whom."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from starlette.responses import Response

from foedus.core.errors import Invalid
from foedus.core.fusion.parcel import MEDIA_TYPE
from foedus.faces.symetryml.calls import Call
from foedus.faces.symetryml.envelope import Answer
from foedus.faces.symetryml.parsing import flat_map
from foedus.ports.secrets import Secret
from foedus.services.fusion import defining, probing, pulling, tokens
from foedus.services.fusion.defining import CellInfo, CreateFusion
from foedus.services.shell.authorisation import Verb

_HOPS = 64  # names in a header; how many are too many is said elsewhere
_SPELLINGS = {defining.WINDOW.removeprefix("rtlm.option."): defining.WINDOW}  # lists of options leave the prefix out
_SHARE = 0.8  # of the time that the asker has; the rest is for the way back


def create(call: Call) -> Answer:
    name, body = call.word("pid"), call.secret()
    command = CreateFusion(name=name, cells=_cells(call, body), params=_params(body), persisted=call.flag("persist"))
    defining.create_fusion(call.ports, call.actor, call.customer, command, now=call.now)
    return Answer(status=HTTPStatus.CREATED, text=f"Project Created with id:{name}")


def update_cells(call: Call) -> Answer:
    project, body = call.project(Verb.CHANGE), call.secret()
    defining.update_cells(call.ports, project, _cells(call, body), _params(body), now=call.now)
    return Answer()


def cells_status(call: Call) -> Answer:
    """Each cell asked once, whether it would answer; nothing is taken of it."""
    project = call.project()
    body = call.secret()
    found = probing.probe(call.ports, project, _cells(call, body), now=call.now)
    values = [
        {"host": asked.get("host") or "", "cid": cell.cid, "pid": cell.pid, "status": error or "OK"}
        for asked, (cell, error) in zip(_listed(body), found, strict=True)
    ]
    return Answer({"cellsStatusEncrypted": call.sealed({"values": values})})


def statistics(call: Call) -> Response:
    """What this project hands over as a cell; 304 when that is what the asker has."""
    known = call.headers.get("if-none-match", "").strip().removeprefix("W/").strip('"')
    chain = tuple(each for each in call.headers.get("foedus-chain", "").split(",") if each)
    if len(chain) > _HOPS:
        raise Invalid("the header foedus-chain names too many projects")
    shared = pulling.share(call.ports, call.project(), known=known, chain=chain, seconds=_seconds(call), now=call.now)
    headers = {"Cache-Control": "private, no-cache"}
    if shared.digest:
        headers["ETag"] = f'"{shared.digest}"'
    if shared.data is None:
        return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
    return Response(shared.data, media_type=MEDIA_TYPE, headers=headers)


def make_token(call: Call) -> Answer:
    """A key that reads this project's statistics, and nothing else; its secret is shown this once."""
    row, secret = tokens.make_token(
        call.ports, call.actor, call.project(Verb.CHANGE), label=call.query.get("name", ""),
        expires_in_s=_number(call, "expires"), now=call.now,
    )  # fmt: skip
    told = {"id": row.kid, "cid": call.customer.cid, "pid": call.path["pid"], "sk": secret.reveal()}
    return Answer({"cellTokenEncrypted": call.sealed(told)}, HTTPStatus.CREATED, f"Token Created with id:{row.kid}")


def list_tokens(call: Call) -> Answer:
    values = [
        {
            "id": row.kid, "name": row.label, "created": row.created_at.isoformat(),
            "expires": row.expires_at.isoformat() if row.expires_at else "",
        }
        for row in tokens.list_tokens(call.project())
    ]  # fmt: skip
    return Answer({"KSVSMap": {"values": values}})


def revoke_token(call: Call) -> Answer:
    tokens.revoke_token(call.actor, call.project(Verb.CHANGE), call.path["kid"], now=call.now)
    return Answer()


def _cells(call: Call, body: Any) -> list[CellInfo]:
    """A FusionCellInfoList. The address by which this server was reached is this server."""
    here = call.base.partition("/symetry/")[0]
    return [_cell(each, here) for each in _listed(body)]


def _listed(body: Any) -> list[dict[str, Any]]:
    found = body.get("values") if isinstance(body, dict) else body
    if not isinstance(found, list) or not all(isinstance(each, dict) for each in found):
        raise Invalid('cells come as {"values":[{"host":...,"cid":...,"sk":...,"pid":...},...]}')
    return found


def _cell(value: Mapping[str, Any], here: str) -> CellInfo:
    texts = {name: value.get(name) or "" for name in ("host", "cid", "pid", "sk")}
    for name, text in texts.items():
        if not isinstance(text, str):
            raise Invalid(f"{name} of a cell is a text")
    host = texts["host"].strip().rstrip("/")
    return CellInfo("" if host.lower() == here.lower() else host, texts["cid"], texts["pid"], Secret(texts["sk"]))


def _params(body: Any) -> dict[str, str]:
    given = flat_map(body.get("extraParameters")) if isinstance(body, dict) else {}
    return {_SPELLINGS.get(name, name): text for name, text in given.items()}


def _seconds(call: Call) -> float | None:
    """How long whoever asks for another fusion project waits, less what the way back takes."""
    try:
        seconds = float(call.headers.get("foedus-seconds") or "nan")
    except ValueError:
        return None
    return _SHARE * seconds if seconds > 0 else None


def _number(call: Call, name: str) -> float | None:
    text = call.query.get(name)
    try:
        return float(text) if text else None
    except ValueError:
        raise Invalid(f"the query parameter {name} is a number") from None
