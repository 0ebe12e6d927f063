"""What an operator does for a study, through the services: accounts, samples, a start model, a project.

Import it once Django is set up.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from foedus.core.codecs import cifar, raw
from foedus.core.codecs.cifar import Samples
from foedus.core.fleet.keys import TEST_KEY
from foedus.core.fleet.layouts import FleetModel
from foedus.core.fleet.modes import DatasetType
from foedus.core.fleet.pictures import to_samples
from foedus.core.fleet.shards import Shape
from foedus.ports import Ports
from foedus.records.accounts.models import User
from foedus.services.accounts.credentials import actor_of_user
from foedus.services.fleet import objects, projects
from foedus.services.fleet.accounts import create_account, new_password
from foedus.services.fleet.assignment import assign_by_prefix
from foedus.services.fleet.image_files import LabelledImages, read_images
from foedus.services.fleet.samples import SampleOptions, make_samples
from foedus.services.fleet.status import Status
from foedus.simulation.datasets import load_digits
from foedus.simulation.flaas.device import Account

PREFIX = "phone-"
_OPERATOR = "operator"  # whom a server makes on its first start


@dataclass(frozen=True, slots=True)
class Project:
    """A project by the number that phones know, and by the key that operators know."""

    id: int
    key: str


class Backstage:
    """Does its work at once, in this process, on a running server's database and blobs."""

    def __init__(self, ports: Ports) -> None:
        self._ports = ports
        self._operator = User.objects.get(username=_OPERATOR)

    def add_phones(self, count: int) -> Iterator[Account]:
        """Accounts with passwords nobody has chosen; the n-th has the n-th shard of samples."""
        for index in range(count):
            account = Account(username=f"{PREFIX}{index + 1}", password=new_password())
            create_account(account.username, account.password, index, now=_now())
            yield account

    def put_samples(self, kind: DatasetType, shape: Shape, seed: int, images: Path | None = None) -> list[str]:
        """Sample files for every phone, out of the digits that come with foedus or of ``images``; what to beware of."""
        pool, test = _digits() if images is None else read_images(images)
        options = SampleOptions(shape=shape, kinds=(kind,), seed=seed)
        manifest = make_samples(_Store(self._ports), pool, test, options, source=str(images or "digits"))
        return list(manifest["warnings"])

    def test_samples(self) -> Samples:
        with objects.local(self._ports, TEST_KEY) as path:
            return cifar.decode(path.read_bytes())

    def create_project(self, model: FleetModel, *, assign: bool = True, **fields: Any) -> Project:
        """A project that stands still, with all phones assigned to it unless that is not wanted."""
        objects.put(self._ports, projects.start_model_key(model.name), [raw.encode(model.start())])
        values = {"model": model.name, "dataset": model.dataset, **fields}
        fleet = projects.create(self._ports, self._operator, values, now=_now())
        if assign:
            assign_by_prefix(self._ports, actor_of_user(self._operator), fleet.pk, PREFIX, now=_now())
        return Project(fleet.pk, fleet.project.key)

    def start(self, project: Project) -> None:
        """Let the project run: whoever reported lately is invited at once."""
        projects.change(self._ports, self._operator, project.id, {"status": Status.IN_PROGRESS}, now=_now())

    def model(self, project: Project, number: int) -> bytes:
        """The model that round ``number`` starts from, in the phones' numbers and form."""
        return b"".join(objects.get(self._ports, f"projects/{project.id}/{number}/model_weights.bin").read(self._ports))


@contextmanager
def backstage(ports: Ports) -> Iterator[Backstage]:
    """Gives the connectors back at the end."""
    try:
        yield Backstage(ports)
    finally:
        ports.bus.close()
        ports.push.close()


@dataclass(frozen=True, slots=True)
class _Store:
    ports: Ports

    def put(self, key: str, data: bytes) -> None:
        objects.put(self.ports, key, [data])


def _digits() -> LabelledImages:
    digits = load_digits()
    return LabelledImages(
        to_samples(digits.train_images, digits.train_labels), to_samples(digits.test_images, digits.test_labels)
    )


def _now() -> datetime:
    return datetime.now(UTC)
