"""What a study of simulated phones is to be like."""

from dataclasses import dataclass, field
from pathlib import Path

from foedus.core.errors import Invalid
from foedus.core.fleet.layouts import fleet_model
from foedus.core.fleet.modes import DatasetType, TrainingMode
from foedus.simulation.flaas.device import Faults
from foedus.simulation.flaas.schedule import Pace


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyOptions:
    """``images``: what to deal out instead of the digits. ``output`` gets the report, the model and the logs; with
    ``keep`` also the server's data folder. ``faults`` by the number of a phone, from 1.
    """

    devices: int = 100
    rounds: int = 20
    model: str = "CIFAR10_S"
    split: DatasetType = DatasetType.IID
    mode: TrainingMode = TrainingMode.BASELINE
    samples: int = 150
    epochs: int = 20
    alpha: float = 0.5
    seed: int = 7
    workers: int = 4
    minutes: int = 60
    images: Path | None = None
    output: Path = Path("foedus-flaas")
    keep: bool = False
    pace: Pace = field(default_factory=Pace)
    faults: dict[int, Faults] = field(default_factory=dict)

    def __post_init__(self) -> None:
        batch, files = fleet_model(self.model).batch, 1 if self.mode is TrainingMode.JOINT_MODELS else 3
        if self.devices < 1 or self.rounds < 1:
            raise Invalid("a study has at least one device and one round")
        if self.samples * files < batch:
            raise Invalid(f"{self.samples} samples an app do not fill a batch of {batch} in the mode {self.mode}")
