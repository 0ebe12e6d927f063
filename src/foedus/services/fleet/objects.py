"""The object store by its documented keys.

Under ``models/``, ``samples/`` and ``results/`` is what operators and commands put there, as blobs. Under ``projects/``
are the models and results of rounds, read-only: they are where the engine keeps them, and only look like objects here.
"""

import re
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from foedus.core.errors import Forbidden, Invalid, NotFound
from foedus.ports import Ports
from foedus.records.fleet.models import FleetProject, Submission, TrainingResult
from foedus.records.fleet.queries import current_number, get_fleet, get_start_model, round_number
from foedus.records.learning.queries import find_newest_round
from foedus.services.fleet.models import raw_of
from foedus.services.shell.staging import staged

WRITABLE = ("models", "samples", "results")
PROJECTS = "projects"
MODEL_FILE = "model_weights.bin"
RESULTS_FILE = "performance.json"
MAX_KEY_CHARACTERS = 400
MAX_OBJECT_BYTES = 16 << 30
_FOLDER = "objects/"
_SEGMENT = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,127}")
_NUMBER = re.compile(r"0|[1-9][0-9]{0,8}")


@dataclass(frozen=True, slots=True)
class Object:
    """Something under a key. Its bytes are those of ``blob`` from ``start`` on."""

    key: str
    size_bytes: int
    blob: str
    start: int = 0

    def read(self, ports: Ports) -> Iterator[bytes]:
        return ports.blobs.read(self.blob, self.start)


def check_object_key(key: str) -> tuple[str, ...]:
    """The segments of a key; raises Invalid for anything but names joined by single slashes."""
    segments = tuple(key.split("/"))
    if len(key) > MAX_KEY_CHARACTERS or len(segments) < 2 or not all(_SEGMENT.fullmatch(s) for s in segments):
        raise Invalid("a key is names of letters, digits, '.', '_' and '-' joined by '/'", key=key[:80])
    if segments[0] not in (*WRITABLE, PROJECTS):
        raise Invalid(f"a key begins with {', '.join(WRITABLE)} or {PROJECTS}", key=key[:80])
    return segments


def put(ports: Ports, key: str, chunks: Iterable[bytes], *, limit_bytes: int = MAX_OBJECT_BYTES) -> Object:
    """Store an object, in place of what was there. Raises Invalid, Forbidden for what rounds own, TooLarge."""
    if check_object_key(key)[0] == PROJECTS:
        raise Forbidden("what belongs to rounds is not put by hand", key=key)
    with staged(ports.scratch, chunks, limit_bytes) as body:
        ports.blobs.put_file(_FOLDER + key, body.path)
        return Object(key, body.size_bytes, _FOLDER + key)


def get(ports: Ports, key: str) -> Object:
    """Raises Invalid, NotFound."""
    first, *rest = check_object_key(key)
    if first == PROJECTS:
        return _of_round(ports, key, rest)
    try:
        return Object(key, ports.blobs.stat(_FOLDER + key).size_bytes, _FOLDER + key)
    except NotFound:
        raise NotFound(f"there is no object {key}", key=key) from None


def exists(ports: Ports, key: str) -> bool:
    try:
        get(ports, key)
    except NotFound:
        return False
    return True


def local(ports: Ports, key: str) -> AbstractContextManager[Path]:
    """An object that was put, as a file on this machine. Raises NotFound."""
    return ports.blobs.local(get(ports, key).blob)


def list_objects(ports: Ports, prefix: str = "") -> Iterator[Object]:
    """What there is under keys that begin with ``prefix``: what was put, in order, then the rounds' own."""
    for blob in ports.blobs.list(_FOLDER + prefix):
        yield Object(blob.key.removeprefix(_FOLDER), blob.size_bytes, blob.key)
    if prefix.startswith(PROJECTS + "/") or PROJECTS.startswith(prefix):
        for fleet in FleetProject.objects.select_related("project").order_by("pk"):
            if _overlaps(f"{PROJECTS}/{fleet.pk}/", prefix):
                yield from (found for found in _of_project(ports, fleet) if found.key.startswith(prefix))


def _overlaps(folder: str, prefix: str) -> bool:
    return folder.startswith(prefix) or prefix.startswith(folder)


def _of_round(ports: Ports, key: str, rest: list[str]) -> Object:
    """``projects/<pid>/<round>/model_weights.bin``, or a device's two files one folder below."""
    *numbers, name = rest
    if len(numbers) not in (2, 3) or not all(_NUMBER.fullmatch(n) for n in numbers):
        raise NotFound(f"there is no object {key}", key=key)
    pk, number, *device = (int(n) for n in numbers)
    if not device:
        if name != MODEL_FILE:
            raise NotFound(f"there is no object {key}", key=key)
        start = get_start_model(get_fleet(pk).project, number)
        return _raw(ports, key, start.blob, start.size_bytes)
    row = _device_file(name, pk, number, device[0])
    if row is None:
        raise NotFound(f"there is no object {key}", key=key)
    return _of_device(ports, key, row)


def _device_file(name: str, pk: int, number: int, device: int) -> Submission | TrainingResult | None:
    wanted = {"device": device, "round__project": pk, "round__number": number + 1}
    if name == MODEL_FILE:
        return Submission.objects.filter(**wanted).exclude(blob="").first()
    if name == RESULTS_FILE:
        return TrainingResult.objects.filter(**wanted).exclude(blob="").first()
    return None


def _of_device(ports: Ports, key: str, row: Submission | TrainingResult) -> Object:
    size_bytes = ports.blobs.stat(row.blob).size_bytes
    return _raw(ports, key, row.blob, size_bytes) if isinstance(row, Submission) else Object(key, size_bytes, row.blob)


def _raw(ports: Ports, key: str, blob: str, size_bytes: int) -> Object:
    model = raw_of(ports, blob, size_bytes)
    return Object(key, model.size_bytes, model.blob, model.start)


def _of_project(ports: Ports, fleet: FleetProject) -> Iterator[Object]:
    """In the order of rounds."""
    newest = current_number(find_newest_round(fleet.project))
    files: dict[int, list[Submission | TrainingResult]] = {}
    for table in (Submission, TrainingResult):
        rows: Iterable[Submission | TrainingResult] = (
            table.objects.filter(round__project=fleet.pk).exclude(blob="").select_related("round").order_by("device")
        )
        for row in rows:
            files.setdefault(round_number(row.round), []).append(row)
    for number in range(newest + 1):
        folder = f"{PROJECTS}/{fleet.pk}/{number}"
        yield get(ports, f"{folder}/{MODEL_FILE}")
        for row in files.get(number, []):
            name = MODEL_FILE if isinstance(row, Submission) else RESULTS_FILE
            yield _of_device(ports, f"{folder}/{row.device_id}/{name}", row)
