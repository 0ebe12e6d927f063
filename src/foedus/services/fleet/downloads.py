"""What phones fetch: the model that a round starts from, and the samples that they train on."""

from datetime import datetime

from foedus.core.errors import NotFound
from foedus.core.fleet.modes import APPS, DatasetType
from foedus.ports import Ports
from foedus.records.accounts.models import User
from foedus.records.fleet.queries import get_start_model
from foedus.services.fleet import objects
from foedus.services.fleet.access import readable_fleet
from foedus.services.fleet.accounts import device_of
from foedus.services.fleet.models import raw_of
from foedus.services.fleet.objects import MODEL_FILE, Object
from foedus.services.fleet.samples import samples_key


def start_model(ports: Ports, user: User, pk: int, number: int) -> Object:
    """The bare values of a round's start model, for who may see the project. Raises NotFound."""
    project = readable_fleet(user, pk).project
    checkpoint = get_start_model(project, number)
    model = raw_of(ports, checkpoint.blob, checkpoint.size_bytes)
    return Object(f"projects/{pk}/{number}/{MODEL_FILE}", model.size_bytes, model.blob, model.start)


def samples(ports: Ports, user: User, kind: str, app: str, *, now: datetime) -> Object:
    """The samples of one app of the user's device. Raises NotFound."""
    if kind not in tuple(DatasetType) or app not in {str(number) for number in range(len(APPS))}:
        raise NotFound("there are no such samples")
    return objects.get(ports, samples_key(DatasetType(kind), device_of(user, now=now).samples_index, int(app)))
