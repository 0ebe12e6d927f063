"""What a data scientist brings to the market, as the ``main`` of its document: programs, workflows, sessions."""

from collections.abc import Sequence
from typing import Any

from foedus.core.market.assets import Container


def program(name: str, entrypoint: str, *, container: Container | None = None) -> dict[str, Any]:
    """A program: ``entrypoint`` is the text of a shell script, which runs in ``container`` where the node has them.

    It finds what it reads in the folder ``$NEVERMINED_INPUTS_PATH``, and leaves what it found in
    ``$NEVERMINED_OUTPUTS_PATH``. ``{coordinator_url}`` stands for the address of the session it takes part in.
    """
    about: dict[str, Any] = {"language": "shell", "entrypoint": entrypoint}
    if container:
        about["requirements"] = {"container": container.stated()}
    return {"name": name, "type": "algorithm", "algorithm": about}


def python_script(text: str) -> str:
    """A shell script, to be an ``entrypoint``, that runs a Python program by its text."""
    mark = "END_OF_PROGRAM"
    while mark in text:
        mark += "_"
    return f"exec python3 - <<'{mark}'\n{text.rstrip()}\n{mark}\n"


def workflow(
    name: str, program: str, *, data: Sequence[str], participant: bool = False, container: Container | None = None
) -> dict[str, Any]:
    """Running a program on data, both by their DIDs. Of a ``participant`` nothing is published: its session has it."""
    stage = {
        "index": 0,
        "stageType": "Participant" if participant else "Transformation",
        "requirements": {"serverInstances": 1, **({"container": container.stated()} if container else {})},
        "input": [{"index": index, "id": did} for index, did in enumerate(data)],
        "transformation": {"id": program},
        "output": {} if participant else {"metadata": {"name": name}},
    }
    return {"name": name, "type": "workflow", "workflow": {"stages": [stage]}}


def session(
    name: str,
    *,
    rounds: int,
    min_participants: int,
    ratio: float = 1.0,
    agreements: Sequence[str] | None = None,
    container: Container | None = None,
    **parameters: Any,
) -> dict[str, Any]:
    """A session to be led: of its rounds the first initialises, so there is one training fewer.

    ``agreements``: whose participants may take part; who has a token, where none are named. Further ``parameters`` are
    called as in the documents, such as ``heartbeatTimeout``.
    """
    wanted: dict[str, Any] = {
        "rounds": rounds, "minParticipants": min_participants, "participantsRatio": ratio, **parameters
    }  # fmt: skip
    if agreements is not None:
        wanted["allowedAgreements"] = list(agreements)
    needed = {"serverInstances": 1, **({"container": container.stated()} if container else {})}
    stages = [{"index": 0, "requirements": needed, "input": [], "output": {}}]
    return {"name": name, "type": "fl-coordinator", "parameters": wanted, "workflow": {"stages": stages}}
