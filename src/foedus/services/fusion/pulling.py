"""Fusion projects brought up to date when somebody asks them: cells asked, what they say merged, and kept.

One at a time asks the cells of a project in a process; who comes meanwhile waits for that, and asks nobody again. No
transaction is open while cells are asked. What cells handed over and what was merged of it are committed at once.
"""

import hmac
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime

from foedus.core.fusion.freshness import Verdict, due, judged
from foedus.core.fusion.parcel import Circle, Parcel, check_chain, digest_of, member_of, pack
from foedus.core.statistics import Statistics
from foedus.ports import Ports
from foedus.ports.blobs import BlobMissing
from foedus.ports.cells import ANY, CellRefuses, Form, Question
from foedus.ports.secrets import Secret
from foedus.records.customers.models import Customer
from foedus.records.fusion.models import Fusion, FusionCell
from foedus.records.statistics.models import StatisticsProject
from foedus.services.customers import keys
from foedus.services.fusion.asking import Local, Said, ask
from foedus.services.fusion.committing import commit, note
from foedus.services.fusion.defining import cells_of, rule_of, secret_of, state_of
from foedus.services.fusion.errors import CellsMissing, CellsMoved
from foedus.services.fusion.flights import FLIGHTS
from foedus.services.fusion.folding import fingerprint_of, folded
from foedus.services.fusion.tokens import valid_tokens
from foedus.services.shell.authorisation import Actor
from foedus.services.statistics.answering import ANSWERS
from foedus.services.statistics.contributing import customer_of
from foedus.services.statistics.keeping import FUSION, KEEPER
from foedus.services.statistics.plans import FEDERATED
from foedus.services.statistics.projects import find_project

_ATTEMPTS = 3  # when somebody else changes or merges the same cells
_MAX_DIGESTS = 4096


def current(
    ports: Ports,
    project: StatisticsProject,
    *,
    now: datetime,
    chain: tuple[str, ...] = (),
    seconds: float | None = None,
) -> None:
    """Have a project answer with what its cells have now, as far as they are due to be asked. Others are as they are.

    ``chain``: the fusion projects that ask; ``seconds``: how long they wait. Raises CellsMissing, Circle.
    """
    if project.kind != FUSION:
        return
    chain = check_chain(chain, member_of(project.key))
    if project.frozen:
        return
    ends_at = time.monotonic() + min(seconds or ports.cells.terms.seconds, ports.cells.terms.seconds)
    with FLIGHTS.turn(project.key, ends_at) as mine:
        for attempt in range(_ATTEMPTS if mine else 0):
            try:
                _pull(ports, project, chain, ends_at, now)
                break
            except (CellsMoved, BlobMissing):
                if attempt == _ATTEMPTS - 1:
                    raise CellsMissing("the cells are being changed; ask again in a moment", retry_after_s=1) from None
    _judge(ports, project, now)


@dataclass(frozen=True, slots=True)
class Shared:
    """What a project hands over as a cell: nothing when that is known already. An empty ``digest`` was not computed."""

    digest: str
    data: bytes | None = field(repr=False)


def share(
    ports: Ports, project: StatisticsProject, *, known: str = "", chain: tuple[str, ...] = (),
    seconds: float | None = None, now: datetime,
) -> Shared:  # fmt: skip
    """What a project has now, for fusion projects. Raises CellsMissing, Circle."""
    current(ports, project, now=now, chain=chain, seconds=seconds)
    kept = ANSWERS.read(ports, project)
    federated = project.kind == FEDERATED  # its answers change with its peers', and its version does not
    digest = "" if federated else _DIGESTS.get(project.key, kept.version)
    if known == ANY or (digest and hmac.compare_digest(known, digest)):
        return Shared(digest, None)
    data = pack(Parcel(kept.columns, _members(project), kept.value))
    digest = digest_of(data)
    if not federated:
        _DIGESTS.put(project.key, kept.version, digest)
    return Shared(digest, None if known == digest else data)


def read_statistics(ports: Ports, actor: Actor, cid: str, name: str, *, now: datetime) -> Statistics:
    """The statistics of a project as they are now. Raises NotFound, ProjectMissing, CellsMissing, Circle."""
    project = find_project(actor, customer_of(actor, cid), name)
    current(ports, project, now=now)
    return KEEPER.read(ports, project).value


def _judge(ports: Ports, project: StatisticsProject, now: datetime) -> None:
    """Keep what is wrong with cells for those who look. Raises CellsMissing when that leaves nothing to answer with."""
    verdict = _verdict(ports, project, now)
    fusion = Fusion.objects.get(pk=project.pk)
    if not verdict.may_answer or not fusion.merged:
        raise CellsMissing(verdict.error or "the cells are being asked; ask again in a moment", retry_after_s=1)


def _verdict(ports: Ports, project: StatisticsProject, now: datetime) -> Verdict:
    verdict = judged([state_of(cell) for cell in cells_of(project)], now, rule_of(ports, project))
    Fusion.objects.filter(pk=project.pk).exclude(error=verdict.error).update(error=verdict.error)
    return verdict


def _pull(ports: Ports, project: StatisticsProject, chain: tuple[str, ...], ends_at: float, now: datetime) -> None:
    fusion, cells = Fusion.objects.get(pk=project.pk), cells_of(project)
    places = due([state_of(cell) for cell in cells], now, rule_of(ports, project))
    with ExitStack() as stack:
        said: list[Said] = []
        if places:
            asked = [(cells[place], secret_of(ports, cells[place])) for place in places]
            question = Question(chain=chain, seconds=max(0.1, ends_at - time.monotonic()))
            said = ask(ports, stack, asked, question, asker(ports, project.customer, now))
        news = {each.cell.pk: each for each in said if each.staged and each.staged.digest != each.cell.digest}
        circles = {each.cell.pk: each.error for each in said if isinstance(each.error, Circle)}
        fold = None
        if (news or fusion.merged != fingerprint_of(cell.digest for cell in cells)) and not circles:
            fold = folded(ports, project, cells, news)
        note(said, fold, circles, now)
        for circle in circles.values():
            _verdict(ports, project, now)
            raise circle
        if fold is not None and (fold.accepted or (not fold.lost and fold.fingerprint != fusion.merged)):
            commit(ports, project, fusion, cells, fold, now)


def _members(project: StatisticsProject) -> frozenset[str]:
    if project.kind != FUSION:
        return frozenset({member_of(project.key)})
    return frozenset(Fusion.objects.values_list("members", flat=True).get(pk=project.pk))


def asker(ports: Ports, owner: Customer, now: datetime) -> Local:
    """Asks projects of this server, as others would be asked, but for the network."""

    def asked(cell: FusionCell, secret: Secret, question: Question, into: Callable[[bytes], None]) -> Form:
        project = _opened(ports, cell, secret, owner, now)
        shared = share(
            ports, project, known=question.known, chain=question.chain, seconds=question.seconds, now=now
        )  # fmt: skip
        if shared.data is None:
            return Form.UNCHANGED
        into(shared.data)
        return Form.PARCEL

    return asked


def _opened(ports: Ports, cell: FusionCell, secret: Secret, owner: Customer, now: datetime) -> StatisticsProject:
    """The project, for somebody who knows its secret, or owns it. Raises CellRefuses, whatever the reason."""
    rows = StatisticsProject.objects.select_related("customer").filter(customer__disabled_at=None)
    project = rows.filter(customer__cid=cell.customer, name=cell.project).first()
    if project is None or not (_knows(ports, project, secret, now) if secret else project.customer_id == owner.pk):
        raise CellRefuses("there is no such project on this server, or the secret key is not one that reads it")
    return project


def _knows(ports: Ports, project: StatisticsProject, secret: Secret, now: datetime) -> bool:
    customer = project.customer
    found = keys.valid(ports, customer, customer.keys.all(), now)
    found += valid_tokens(ports, customer.cid, project.name, now)
    return any(hmac.compare_digest(key.secret.reveal(), secret.reveal()) for key in found)


class _Digests:
    """Of what projects hand over at which version, so that whoever knows it costs one question to the database."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._known: OrderedDict[tuple[str, int], str] = OrderedDict()

    def get(self, key: str, version: int) -> str:
        with self._guard:
            return self._known.get((key, version), "")

    def put(self, key: str, version: int, digest: str) -> None:
        with self._guard:
            self._known[key, version] = digest
            while len(self._known) > _MAX_DIGESTS:
                self._known.popitem(last=False)


_DIGESTS = _Digests()
