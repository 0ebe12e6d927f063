"""What a model says of the rows of a data source, written to another: each row with the outputs behind its cells."""

import base64
import csv
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db import transaction

from foedus.core.errors import Invalid
from foedus.core.symetryml.rows import Rows
from foedus.ports import Ports
from foedus.ports.sources import Store
from foedus.records.statistics.models import StatisticsJob, StatisticsProject
from foedus.services.shell.sealing import seal, unseal
from foedus.services.statistics import sources
from foedus.services.statistics.answering import ANSWERS
from foedus.services.statistics.jobs import Running
from foedus.services.statistics.learning import known_letters
from foedus.services.statistics.predicting import predictions
from foedus.services.statistics.taking import guessed

PURPOSE = "rows that were predicted"


@dataclass(slots=True)
class _Scores:
    """CSV lines below a header; ``sample`` are the first rows."""

    ports: Ports
    project: StatisticsProject
    model: str
    impute: bool
    names: list[str] = field(default_factory=list)
    sample: list[list[str]] = field(default_factory=list)
    rows: int = 0
    _letters: dict[str, str] = field(init=False)

    def __post_init__(self) -> None:
        known = known_letters(ANSWERS.read(self.ports, self.project))
        self._letters = {name: letter.value for name, letter in known.items()}

    def lines(self, batches: Iterator[Rows]) -> Iterator[bytes]:
        for batch in batches:
            yield self._scored(batch)
        if not self.rows:
            raise Invalid("the data source to predict has no rows")

    def _scored(self, batch: Rows) -> bytes:
        for place, name in enumerate(batch.names):
            self._letters.setdefault(name, guessed(row[place] for row in batch.data))
        frame = batch.frame([self._letters[name] for name in batch.names])
        found = predictions(self.ports, self.project, self.model, frame, impute=self.impute)
        if len(found) != len(batch.data):
            raise Invalid("this model answers sequences, and not each row; it is asked with a DataFrame")
        rows = [dict(zip(batch.names, map(_text, row), strict=True)) for row in batch.data]
        told = [
            cells | {name: str(value) for name, value in said.items()} for cells, said in zip(rows, found, strict=True)
        ]
        first = not self.names
        self.names = self.names or list(told[0])
        lines = [[row.get(name, "") for name in self.names] for row in told]
        self.sample += lines[: sources.PREVIEW_ROWS - len(self.sample)]
        self.rows += len(lines)
        return _csv([self.names, *lines] if first else lines)


def predict_source(job: Running) -> None:
    """Read one source, write another: whole or not at all. The answer holds the first rows."""
    asked = job.row.payload
    place, out = (
        sources.place_of(job.ports, sources.find_source(job.row.customer, asked[side])) for side in ("source", "out")
    )
    store = store_of(job.ports, out)
    scores = _Scores(job.ports, job.project, asked["model"], asked["impute"])
    with sources.opened(job.ports, place) as reading:
        store.write(out.info, scores.lines(reading.rows), again=job.lease.attempts > 1)
    letters = [guessed(row[k] for row in scores.sample) for k in range(len(scores.names))]
    frame = {"attributeNames": scores.names, "attributeTypes": letters, "data": scores.sample}
    sealed = seal(job.ports, json.dumps(frame).encode(), purpose=PURPOSE, about=str(job.row.pk))
    with transaction.atomic():
        job.done(rows=scores.rows, sealed=base64.b64encode(sealed).decode())


def sample_of(ports: Ports, row: StatisticsJob, result: Mapping[str, Any]) -> Any:
    """The first rows with their outputs, of a finished job: the database keeps them for a day, and only sealed."""
    return json.loads(unseal(ports, base64.b64decode(result["sealed"]), purpose=PURPOSE, about=str(row.pk)))


def store_of(ports: Ports, place: sources.Place) -> Store:
    """Raises Invalid for a kind of source that nothing is written to."""
    source = ports.sources.of(place.kind)
    if not isinstance(source, Store):
        raise Invalid(f"predictions are written to localfile and s3 (also s3oci and gcs), not to {place.kind[:40]!r}")
    return source


def _text(cell: Any) -> str:
    return "" if cell is None else str(cell)


def _csv(lines: Sequence[Sequence[str]]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(lines)
    return text.getvalue().encode()
