"""What operators want to know of a fleet: who was asked, who joined, who trained, how well it went.

Nothing here changes anything. There is no query for each device, however many there are.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from math import inf, nan
from statistics import fmean, pstdev
from typing import Any, NamedTuple, TypeVar

from django.db.models import Count, Max, Min, Model, Q

from foedus.core.errors import NotFound
from foedus.core.rounds import Phase
from foedus.records.accounts.models import User
from foedus.records.fleet.models import Device, FleetProject, JoinedRound, StatusReport, TrainingResult
from foedus.records.fleet.queries import (
    assigned_devices,
    complete_rounds,
    get_fleet,
    get_fleet_round,
    invalid_rounds,
    round_number,
)
from foedus.records.learning.models import Invitation, Round, Update
from foedus.services.fleet.promises import ACCURACY
from foedus.services.fleet.status import RoundStatus, round_status_of

_AT_ONCE = 100  # users or rounds whose rows are in memory together
_ROWS = 2000
_T = TypeVar("_T")


class Part(StrEnum):
    """What a device did in a round: it was invited; it joined; it handed in a model that counts."""

    AVAILABLE = "available"
    JOINED = "joined"
    REPLIED = "replied"


class Person(NamedTuple):
    username: str
    samples_index: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundParts:
    """Who took which part in a round, each in the order in which it happened."""

    number: int
    status: RoundStatus
    people: Mapping[Part, Sequence[Person]]


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundPerformance:
    """The losses that ``devices`` phones reported; their spread is the population's. NaN when there are none.

    ``accuracy`` is the server's own of the model that came of the round; None when it was not tested.
    """

    number: int
    status: RoundStatus
    devices: int
    loss_mean: float
    loss_std: float
    accuracy: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainRequest:
    """The offer of a round's work, by the number that phones know it by."""

    id: int
    ends_at: datetime | None
    people: Sequence[Person]


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """One report of a phone; with the values for phones that left a part out."""

    username: str
    at: datetime
    version_code: int = 0
    bucket: int = -1
    network_type: str = ""
    network_subtype: str = ""
    power_plugged: bool = False
    battery_level: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which responses count: not older than ``since``, plugged in or (unless ``plugged_only``) full enough."""

    since: datetime
    battery_level: float = 0.0
    plugged_only: bool = False

    def takes(self, response: Response) -> bool:
        enough = response.battery_level is not None and response.battery_level >= self.battery_level
        return response.power_plugged or (enough and not self.plugged_only)


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """From the creation of a project's first round to the latest moment at which its newest one ends."""

    id: int
    title: str
    begins_at: datetime
    ends_at: datetime


def project(pk: int) -> FleetProject:
    """Raises NotFound."""
    try:
        return get_fleet(pk)
    except NotFound:
        raise NotFound(f"Project with id '{pk}' does not exist.") from None


def rounds_done(fleet: FleetProject) -> tuple[int, int]:
    """How many rounds are complete, and how many were invalid."""
    return complete_rounds(fleet.project), invalid_rounds(fleet.project)


def assigned_count(fleet: FleetProject) -> int:
    return assigned_devices(fleet.project).count()


def joined_rounds(fleet: FleetProject) -> dict[str, int]:
    """How many rounds each user joined that joined any, wherever they are assigned now; by name."""
    rows = (
        JoinedRound.objects.filter(round__project=fleet.pk)
        .values("device__user__username")
        .annotate(rounds=Count("pk"))
        .values_list("device__user__username", "rounds")
    )
    return dict(sorted(rows.iterator(chunk_size=_ROWS)))


def never_joined(fleet: FleetProject) -> list[str]:
    """Everybody with a phone who joined no round of the project, by name."""
    joined = JoinedRound.objects.filter(round__project=fleet.pk).values("device")
    return sorted(Device.objects.exclude(pk__in=joined).values_list("user__username", flat=True))


def round_parts(fleet: FleetProject, parts: Sequence[Part] = tuple(Part)) -> Iterator[RoundParts]:
    """All rounds of a project with those who took the wanted parts."""
    rounds = list(Round.objects.filter(project=fleet.pk).order_by("number"))
    for some in _slices(rounds):
        people = {part: _people(part, some) for part in parts}
        for current in some:
            yield RoundParts(
                number=round_number(current),
                status=round_status_of(current),
                people={part: people[part].get(current.pk, []) for part in parts},
            )


def train_request(pk: int, number: int) -> TrainRequest:
    """Raises NotFound."""
    current = get_fleet_round(project(pk).project, number)
    people = _people(Part.AVAILABLE, [current]).get(current.pk, [])
    return TrainRequest(id=current.pk, ends_at=current.deadline_at, people=people)


def performance(fleet: FleetProject, number: int) -> RoundPerformance:
    """Raises NotFound."""
    found = next(performances(fleet, number, number), None)
    if found is None:
        raise NotFound(f"Round {number} does not exist in project with id '{fleet.pk}'.")
    return found


def latest_complete_round(fleet: FleetProject) -> int:
    """Raises NotFound."""
    newest = Round.objects.filter(project=fleet.pk, phase=Phase.COMPLETE).order_by("-number").first()
    if newest is None:
        raise NotFound(f"No round of the project with id '{fleet.pk}' is complete yet; choose one by --round.")
    return round_number(newest)


def performances(fleet: FleetProject, first: int | None = None, last: int | None = None) -> Iterator[RoundPerformance]:
    """The rounds ``first`` to ``last``, both included, whatever their state."""
    rounds = Round.objects.filter(project=fleet.pk).select_related("checkpoint").order_by("number")
    low, high = first or 0, inf if last is None else last
    chosen = [current for current in rounds if low <= round_number(current) <= high]
    for some in _slices(chosen):
        losses: dict[int, list[float]] = {}
        results = TrainingResult.objects.filter(round__in=[r.pk for r in some], loss__isnull=False).order_by("pk")
        for pk, loss in results.values_list("round", "loss").iterator(chunk_size=_ROWS):
            losses.setdefault(pk, []).append(float(loss or 0.0))
        yield from (_performance(current, losses.get(current.pk, [])) for current in some)


def latest_responses(fleet: FleetProject, wanted: Wanted) -> list[Response]:
    """The newest response that counts of each assigned device that has one; by name."""
    newest: dict[str, Response] = {}
    for response in _responses(wanted, Q(device__in=assigned_devices(fleet.project).values("pk"))):
        newest.setdefault(response.username, response)
    return [newest[name] for name in sorted(newest)]


def responses(usernames: Sequence[str], wanted: Wanted) -> Iterator[tuple[str, list[Response]]]:
    """Each user with the responses that count, newest first; all users by name when none is named.

    "All" leaves out staff without a phone. Raises NotFound before anything else for a name that nobody has.
    """
    names = _known(usernames) if usernames else _everybody()
    return _responses_of(names, wanted)


def spans() -> Iterator[Span]:
    """Every project that has rounds."""
    begun = FleetProject.objects.annotate(
        first_at=Min("project__rounds__opened_at"), latest_at=Max("project__rounds__opened_at")
    ).filter(first_at__isnull=False)
    for fleet in begun.order_by("pk").iterator(chunk_size=_ROWS):
        yield Span(
            id=fleet.pk,
            title=fleet.title,
            begins_at=fleet.first_at,
            ends_at=fleet.latest_at + timedelta(minutes=fleet.max_training_time),
        )


def pings(after: datetime, before: datetime) -> Iterator[tuple[datetime, str]]:
    """When who said to be there, newest first; not who reported a training, and neither of the two bounds."""
    rows = StatusReport.objects.filter(round=None, created_at__gt=after, created_at__lt=before)
    named = rows.order_by("-created_at", "-pk").values_list("created_at", "device__user__username")
    yield from named.iterator(chunk_size=_ROWS)


def _performance(current: Round, losses: Sequence[float]) -> RoundPerformance:
    metrics = current.checkpoint.metrics if current.checkpoint is not None else {}
    return RoundPerformance(
        number=round_number(current),
        status=round_status_of(current),
        devices=len(losses),
        loss_mean=fmean(losses) if losses else nan,
        loss_std=pstdev(losses) if losses else nan,
        accuracy=metrics.get(ACCURACY),
    )


_ROWS_OF_PARTS: Mapping[Part, tuple[type[Model], str]] = {
    Part.AVAILABLE: (Invitation, "membership__participant__device"),
    Part.JOINED: (JoinedRound, "device"),
    Part.REPLIED: (Update, "membership__participant__device"),
}


def _people(part: Part, rounds: Sequence[Round]) -> dict[int, list[Person]]:
    table, device = _ROWS_OF_PARTS[part]
    rows = (
        table._default_manager.filter(round__in=[r.pk for r in rounds])  # noqa: SLF001 - Django's documented way to it
        .exclude(**{device: None})
        .order_by("pk")
        .values_list("round", f"{device}__user__username", f"{device}__samples_index")
    )
    found: dict[int, list[Person]] = {}
    for pk, username, samples_index in rows.iterator(chunk_size=_ROWS):
        found.setdefault(pk, []).append(Person(username, samples_index))
    return found


def _everybody() -> list[str]:
    people = User.objects.filter(Q(device__isnull=False) | Q(is_staff=False))
    return sorted(people.values_list("username", flat=True))


def _known(usernames: Sequence[str]) -> list[str]:
    names = list(dict.fromkeys(usernames))
    for some in _slices(names):
        known = set(User.objects.filter(username__in=some).values_list("username", flat=True))
        for name in some:
            if name not in known:
                raise NotFound(f"User '{name}' does not exist.")
    return names


def _responses_of(names: Sequence[str], wanted: Wanted) -> Iterator[tuple[str, list[Response]]]:
    for some in _slices(names):
        found: dict[str, list[Response]] = {name: [] for name in some}
        for response in _responses(wanted, Q(device__user__username__in=some)):
            found[response.username].append(response)
        yield from found.items()


def _responses(wanted: Wanted, of: Q) -> Iterator[Response]:
    """Those that count, newest first."""
    rows = StatusReport.objects.filter(of, created_at__gt=wanted.since).order_by("-created_at", "-pk")
    for username, at, data in rows.values_list("device__user__username", "created_at", "data").iterator(
        chunk_size=_ROWS
    ):
        response = _response(username, at, data)
        if wanted.takes(response):
            yield response


def _response(username: str, at: datetime, data: Mapping[str, Any]) -> Response:
    names = ("version_code", "bucket", "network_type", "network_subtype", "power_plugged", "battery_level")
    return Response(username=username, at=at, **{name: data[name] for name in names if data.get(name) is not None})


def _slices(items: Sequence[_T]) -> Iterator[Sequence[_T]]:
    for start in range(0, len(items), _AT_ONCE):
        yield items[start : start + _AT_ONCE]
