"""What a document is about, by the type its metadata names: data, a program, a plan of work, a session to lead."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from foedus.core.errors import Invalid
from foedus.core.market.dids import Did
from foedus.core.market.documents import Document
from foedus.core.market.fields import mapping, objects, text, whole
from foedus.core.market.sessions import Session, read_session


@dataclass(frozen=True, slots=True)
class File:
    """A file of an asset; ``url`` is known to whoever publishes it alone."""

    index: int
    name: str = ""
    content_type: str = ""
    url: str = ""


@dataclass(frozen=True, slots=True)
class Dataset:
    name: str
    files: tuple[File, ...]


@dataclass(frozen=True, slots=True)
class Container:
    """An image. ``checksum`` (``sha256:`` and 64 digits) says which one; a tag may point elsewhere tomorrow."""

    image: str
    tag: str = ""
    checksum: str = ""

    def stated(self) -> dict[str, str]:
        """As documents write it."""
        return {"image": self.image, "tag": self.tag, "checksum": self.checksum}

    def is_same(self, other: "Container") -> bool:
        """Digests decide where both have one; then names and tags."""
        if self.checksum and other.checksum:
            return self.checksum == other.checksum
        return (self.image, self.tag) == (other.image, other.tag)


@dataclass(frozen=True, slots=True)
class Algorithm:
    name: str
    files: tuple[File, ...]
    entrypoint: str
    container: Container | None


@dataclass(frozen=True, slots=True)
class ComputeAsset:
    """A place to compute at, without data."""

    name: str


@dataclass(frozen=True, slots=True)
class Input:
    """What a stage reads: the asset ``did``, or what the stage ``previous`` left."""

    did: Did | None
    previous: int | None = None


@dataclass(frozen=True, slots=True)
class Stage:
    """``publishes``: whether what it leaves becomes an asset; a participant leaves its work with the coordinator."""

    index: int
    type: str
    instances: int
    container: Container | None
    inputs: tuple[Input, ...]
    transformation: Did | None
    publishes: bool
    requirements: Mapping[str, Any] = field(default_factory=dict)

    @property
    def is_participant(self) -> bool:
        return self.type.lower() == "participant"


@dataclass(frozen=True, slots=True)
class Workflow:
    name: str
    stages: tuple[Stage, ...]


@dataclass(frozen=True, slots=True)
class Coordinator:
    """An ``fl-coordinator``: a session and the program that leads it."""

    name: str
    session: Session
    workflow: Workflow


Asset = Dataset | Algorithm | ComputeAsset | Workflow | Coordinator


def read_asset(document: Document) -> Asset:
    """What the document is about. Raises Invalid naming the field that is wrong, or the type that nobody knows."""
    main = document.metadata.main
    name = text(main, "name", "main", default="")
    match kind := text(main, "type", "main"):
        case "dataset":
            return Dataset(name, _files(main))
        case "algorithm":
            return _algorithm(name, main)
        case "compute":
            return ComputeAsset(name)
        case "workflow":
            return _workflow(name, main)
        case "fl-coordinator":
            return Coordinator(
                name, read_session(mapping(main, "parameters", "main", needed=True)), _workflow(name, main)
            )
    raise Invalid(
        f"main.type must be dataset, algorithm, compute, workflow or fl-coordinator, not {kind[:80]!r}",
        field="main.type",
    )


def read_container(source: Mapping[str, Any], where: str) -> Container | None:
    """The image that ``source`` names, or None where it is empty."""
    if not source:
        return None
    digest = text(source, "checksum", where, default="").lower()
    return Container(text(source, "image", where), text(source, "tag", where, default=""), digest)


def _files(main: Mapping[str, Any]) -> tuple[File, ...]:
    return tuple(
        File(
            index=whole(source, "index", f"main.files[{i}]", least=0, default=i),
            name=text(source, "name", f"main.files[{i}]", default=""),
            content_type=text(source, "contentType", f"main.files[{i}]", default=""),
            url=text(source, "url", f"main.files[{i}]", default=""),
        )
        for i, source in enumerate(objects(main, "files", "main"))
    )


def _algorithm(name: str, main: Mapping[str, Any]) -> Algorithm:
    about = mapping(main, "algorithm", "main", needed=True)
    nested = mapping(about, "container", "main.algorithm")
    wanted = mapping(mapping(about, "requirements", "main.algorithm"), "container", "main.algorithm.requirements")
    entrypoint = text(about, "entrypoint", "main.algorithm", default="") or text(
        nested, "entrypoint", "main.algorithm.container", default=""
    )
    container = read_container(wanted or nested, "main.algorithm.container")
    return Algorithm(name, _files(main), entrypoint, container)


def _workflow(name: str, main: Mapping[str, Any]) -> Workflow:
    about = mapping(main, "workflow", "main", needed=True)
    stages = objects(about, "stages", "main.workflow")
    if not stages:
        raise Invalid("main.workflow.stages is empty: there is nothing to run", field="main.workflow.stages")
    return Workflow(name, tuple(_stage(i, source) for i, source in enumerate(stages)))


def _stage(position: int, source: Mapping[str, Any]) -> Stage:
    where = f"stages[{position}]"
    requirements = mapping(source, "requirements", where)
    transformation = mapping(source, "transformation", where).get("id")
    kind = text(source, "stageType", where, default="")
    instances = requirements.get("serverInstances", requirements.get("serviceInstances", 1))
    return Stage(
        index=whole(source, "index", where, least=0, default=position),
        type=kind,
        instances=whole({"serverInstances": instances}, "serverInstances", f"{where}.requirements", least=1),
        container=read_container(mapping(requirements, "container", where), f"{where}.requirements.container"),
        inputs=tuple(_input(entry, f"{where}.input[{i}]") for i, entry in enumerate(objects(source, "input", where))),
        transformation=None if transformation is None else Did.parse(transformation, f"{where}.transformation.id"),
        publishes=kind.lower() != "participant" and bool(mapping(source, "output", where)),
        requirements=requirements,
    )


def _input(source: Mapping[str, Any], where: str) -> Input:
    previous = source.get("previousStage", source.get("previousIndexStage"))
    if previous is not None:
        return Input(None, whole({"previousStage": previous}, "previousStage", where, least=0))
    if "id" not in source:
        raise Invalid(f"{where} names neither an asset nor an earlier stage", field=where)
    return Input(Did.parse(source["id"], f"{where}.id"))
