"""What an operator does to projects, one method a call of the native API."""

import hashlib
import io
import os
import random
import ssl
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Self, TypeVar

import httpx

from foedus.core.arrays import Arrays
from foedus.core.codecs import safetensors
from foedus.sdk.answers import (
    AcceptedUpdate,
    Artifact,
    Checkpoint,
    Credential,
    Draw,
    EnrolmentKey,
    Event,
    Identity,
    Invitation,
    Member,
    Project,
    Round,
    Score,
)
from foedus.sdk.downloads import BLOCK_BYTES, Download
from foedus.sdk.link import SAFETENSORS, Content, Link, content_digest, path
from foedus.sdk.models import DEFAULT_MAX_MODEL_BYTES, checked, file_digest, loaded, mapped, to_file
from foedus.sdk.problems import BadAnswer
from foedus.sdk.reading import Answer
from foedus.sdk.streams import follow
from foedus.sdk.training import finite_numbers, positive

Item = TypeVar("Item", bound=Answer)


class Operator:
    """Calls with an operator's token. Nothing is retried but ``events``: the caller knows what may wait.

    Lists are iterators that fetch a page when it is reached. Raises: the errors of ``foedus.core.errors``.
    """

    def __init__(
        self,
        url: str,
        token: str,
        transport: httpx.BaseTransport | None = None,
        *,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._link = Link(url, transport=transport, tls=tls)
        self._link.authenticate(token)
        self._place = (url, token, transport, tls)

    def close(self) -> None:
        self._link.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def me(self) -> Identity:
        return Identity.of(self._link.json("GET", "/me"))

    def create_project(self, key: str, **fields: Any) -> Project:
        """A new project.

        ``fields``: title, strategy, policy, settings, update_kind, evaluate_every, evaluation, early_stopping, best,
        retention, seed.
        """
        return Project.of(self._link.json("POST", "/projects", body={"key": key, **fields}))

    def projects(self) -> Iterator[Project]:
        return self._pages(Project, path("projects"))

    def project(self, project: str) -> Project:
        return Project.of(self._link.json("GET", path("projects", project)))

    def update(self, project: str, **fields: Any) -> Project:
        """Change title, settings, strategy, policy, evaluate_every, state, or how a project goes.

        That is evaluation, early_stopping, best and retention, each an object of options; an empty one: without.
        """
        return Project.of(self._link.json("PATCH", path("projects", project), body=fields))

    def pause(self, project: str) -> Project:
        return self.update(project, state="paused")

    def resume(self, project: str) -> Project:
        return self.update(project, state="running")

    def delete(self, project: str) -> None:
        self._link.json("DELETE", path("projects", project))

    def put_model(self, project: str, model: Mapping[str, Any] | str | os.PathLike[str]) -> Checkpoint:
        """Checkpoint 0, from arrays by name or from a safetensors file; the project begins to run."""
        content: Content
        if isinstance(model, Mapping):
            content = safetensors.encode(Arrays(model))
            digest, size_bytes = hashlib.sha256(content).hexdigest(), len(content)
        else:
            file = Path(model)
            content, digest, size_bytes = _pieces(file), file_digest(file), file.stat().st_size
        headers = {
            "Content-Type": SAFETENSORS,
            "Content-Length": str(size_bytes),
            "Content-Digest": content_digest(digest),
        }
        where = path("projects", project, "model")
        return Checkpoint.of(self._link.json("PUT", where, content=content, headers=headers))

    def enrolment_keys(
        self, project: str, count: int = 1, *, name: str | None = None, expires_in_s: int | None = None
    ) -> tuple[EnrolmentKey, ...]:
        """New keys, each for one participant; they are shown this once."""
        body: dict[str, Any] = {"count": count}
        body |= {} if name is None else {"name": name}
        body |= {} if expires_in_s is None else {"expires_in_s": expires_in_s}
        answer = self._link.json("POST", path("projects", project, "enrolment-keys"), body=body)
        return tuple(_items(EnrolmentKey, answer))

    def participants(self, project: str) -> Iterator[Member]:
        return self._pages(Member, path("projects", project, "participants"))

    def remove_participant(self, project: str, participant: str) -> None:
        self._link.json("DELETE", path("projects", project, "participants", participant))

    def rounds(self, project: str) -> Iterator[Round]:
        """Newest first."""
        return self._pages(Round, path("projects", project, "rounds"))

    def round(self, project: str, number: int) -> Round:
        return Round.of(self._link.json("GET", path("projects", project, "rounds", number)))

    def updates(self, project: str, round_number: int) -> Iterator[AcceptedUpdate]:
        return self._pages(AcceptedUpdate, path("projects", project, "rounds", round_number, "updates"))

    def invitations(self, project: str, round_number: int) -> Iterator[Invitation]:
        """Who was asked to train for a round, and what came of it."""
        return self._pages(Invitation, path("projects", project, "rounds", round_number, "invitations"))

    def draws(self, project: str, round_number: int) -> Iterator[Draw]:
        """How a round chose among those that were ready; none where everybody ready was invited."""
        return self._pages(Draw, path("projects", project, "rounds", round_number, "draws"))

    def checkpoints(self, project: str) -> Iterator[Checkpoint]:
        """Newest first."""
        return self._pages(Checkpoint, path("projects", project, "checkpoints"))

    def checkpoint(self, project: str, number: int | str = "latest") -> Checkpoint:
        return Checkpoint.of(self._link.json("GET", path("projects", project, "checkpoints", number)))

    def download(
        self,
        project: str,
        number: int | str = "latest",
        to: str | os.PathLike[str] | None = None,
        *,
        max_model_bytes: int = DEFAULT_MAX_MODEL_BYTES,
    ) -> Arrays:
        """A checkpoint's arrays, read-only: in memory, or mapped from the file ``to``, which appears when complete.

        When it is cut, the next call with the same ``to`` goes on from there.
        """
        checkpoint = self.checkpoint(project, number)
        checked(checkpoint, max_model_bytes)
        where = path("projects", project, "checkpoints", checkpoint.number, "model")
        if to is None:
            memory = io.BytesIO()
            Download(self._link, where, checkpoint, memory).attempt()
            return loaded(memory.getvalue())
        file = Path(to)
        to_file(file, lambda sink: Download(self._link, where, checkpoint, sink).attempt())
        return mapped(file)

    def scores(self, project: str, checkpoint: int | None = None) -> Iterator[Score]:
        filters = {} if checkpoint is None else {"checkpoint": checkpoint}
        return self._pages(Score, path("projects", project, "scores"), filters)

    def report_score(self, project: str, checkpoint: int, metrics: Mapping[str, float], examples: float) -> Score:
        body = {"metrics": finite_numbers(metrics), "examples": positive(examples)}
        return Score.of(
            self._link.json("POST", path("projects", project, "checkpoints", checkpoint, "scores"), body=body)
        )

    def artifacts(self, project: str) -> Iterator[Artifact]:
        return self._pages(Artifact, path("projects", project, "artifacts"))

    def publish_artifact(self, project: str, checkpoint: int, version: str) -> Artifact:
        body = {"checkpoint": checkpoint, "version": version}
        return Artifact.of(self._link.json("POST", path("projects", project, "artifacts"), body=body))

    def events(self, project: str, after: int | None = None, *, stop: threading.Event | None = None) -> Iterator[Event]:
        """What happens to a project, each event once, across broken connections, until ``stop`` is set.

        ``after`` 0 begins with the first event there is; None with what the server begins with.
        """
        url, token, transport, tls = self._place
        if transport is not None:  # whose connection is not ours to close
            yield from follow(self._link, path("projects", project, "events"), after, stop, random.Random())  # noqa: S311
            return
        with Link(url, token, tls=tls) as link:  # its own, for stopping interrupts it
            yield from follow(link, path("projects", project, "events"), after, stop, random.Random())  # noqa: S311

    def audit(self) -> Iterator[Mapping[str, Any]]:
        """Who did what to which object, newest first, as the server tells it."""
        for page in self._raw_pages("/audit", {}):
            yield from page

    def add_customer(self, cid: str, *, legacy: bool = False) -> str:
        """A new account whose projects keep statistics; its secret key, which is shown this once."""
        return str(self._link.json("POST", "/customers", body={"cid": cid, "legacy": legacy})["secret_key"])

    def credentials(self) -> Iterator[Credential]:
        return self._pages(Credential, "/credentials")

    def create_credential(self, name: str, *, expires_in_s: int | None = None) -> Credential:
        """Another operator token; the answer is the only place that shows it."""
        body = {"name": name} | ({} if expires_in_s is None else {"expires_in_s": expires_in_s})
        return Credential.of(self._link.json("POST", "/credentials", body=body))

    def revoke_credential(self, credential: str) -> None:
        self._link.json("DELETE", path("credentials", credential))

    def _pages(self, kind: type[Item], where: str, filters: Mapping[str, Any] | None = None) -> Iterator[Item]:
        for page in self._raw_pages(where, filters or {}):
            for item in page:
                yield kind.of(item)

    def _raw_pages(self, where: str, filters: Mapping[str, Any]) -> Iterator[list[Any]]:
        seen: set[str] = set()
        params = dict(filters)
        while True:
            answer = self._link.json("GET", where, params=params)
            yield _list(answer)
            after = answer.get("next")
            if after is None:
                return
            if str(after) in seen:
                raise BadAnswer(f"{where} leads to the same page again")
            seen.add(str(after))
            params["after"] = after


def _items(kind: type[Item], answer: Any) -> Iterator[Item]:
    return (kind.of(item) for item in _list(answer))


def _list(answer: Any) -> list[Any]:
    match answer:
        case {"items": list(items)}:
            return items
    raise BadAnswer("a list was expected, as an object with items")


def _pieces(file: Path) -> Iterator[bytes]:
    with file.open("rb") as opened:
        while piece := opened.read(BLOCK_BYTES):
            yield piece
