"""What foedus asks of the world: one small Protocol a file. ``Ports`` carries one of each to the services."""

from dataclasses import dataclass, field
from pathlib import Path

from foedus.ports.blobs import Blobs
from foedus.ports.bus import Bus
from foedus.ports.cells import Cells, NoCells
from foedus.ports.compute import Compute, NoCompute
from foedus.ports.devices import Devices, NoDevices
from foedus.ports.exchange import Exchanges, NoExchanges
from foedus.ports.files import Files, NoFiles
from foedus.ports.identity import Identities, NoIdentities
from foedus.ports.ledger import Ledger, NoLedger
from foedus.ports.neighbours import Neighbours, NoNeighbours
from foedus.ports.push import Push
from foedus.ports.schedule import NoSchedule, Schedule
from foedus.ports.secrets import Secrets
from foedus.ports.sources import NoSources, Sources
from foedus.ports.streams import NoStreams, Streams


@dataclass(frozen=True, slots=True)
class Ports:
    """The outside world as services see it. ``scratch`` is a folder on this machine for files that are under way."""

    blobs: Blobs
    bus: Bus
    push: Push
    secrets: Secrets
    scratch: Path
    schedule: Schedule = field(default_factory=NoSchedule)
    sources: Sources = field(default_factory=NoSources)
    streams: Streams = field(default_factory=NoStreams)
    exchanges: Exchanges = field(default_factory=NoExchanges)
    ledger: Ledger = field(default_factory=NoLedger)
    identities: Identities = field(default_factory=NoIdentities)
    cells: Cells = field(default_factory=NoCells)
    compute: Compute = field(default_factory=NoCompute)
    neighbours: Neighbours = field(default_factory=NoNeighbours)
    files: Files = field(default_factory=NoFiles)
    devices: Devices = field(default_factory=NoDevices)
