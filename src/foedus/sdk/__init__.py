"""The client library of foedus: take part in a project, or operate one.

    from foedus.sdk import Update, run_participant

    def train(model, settings):
        return Update(weights={"w": model["w"] + 1}, examples=120)

    run_participant(train, url="https://foedus.example", key="fek_...", state="participant")

It needs httpx, NumPy and ``foedus.core``, and nothing else of foedus. Everything public is here, and is imported when
it is first asked for: an app that only makes updates waits for no HTTP client.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from foedus.core.arrays import Arrays
    from foedus.core.codecs.packing import TopK
    from foedus.core.errors import (
        Conflict,
        Forbidden,
        Invalid,
        Late,
        NotFound,
        PlatformError,
        QuotaExceeded,
        Replayed,
        TooLarge,
        Unauthenticated,
        Unavailable,
    )
    from foedus.sdk.answers import (
        AcceptedUpdate,
        Artifact,
        Checkpoint,
        Credential,
        EnrolmentKey,
        Event,
        Identity,
        Member,
        Project,
        Reason,
        Receipt,
        Round,
        Score,
    )
    from foedus.sdk.built import BuiltModel
    from foedus.sdk.fma.client import FmaClient, Pulled
    from foedus.sdk.fma.developer import FmaDeveloper
    from foedus.sdk.fma.weights import schema_of
    from foedus.sdk.leaving import leave
    from foedus.sdk.local import Scaffold, proximal_term
    from foedus.sdk.operators import Operator
    from foedus.sdk.participant import run_participant
    from foedus.sdk.problems import BadAnswer, Redirected
    from foedus.sdk.runner import Outcome
    from foedus.sdk.sessions import take_part
    from foedus.sdk.site import Site
    from foedus.sdk.stopping import Stop
    from foedus.sdk.training import Context, Evaluation, Participant, Update

_PLACES = {
    "foedus.core.arrays": "Arrays",
    "foedus.core.codecs.packing": "TopK",
    "foedus.core.errors": (
        "Conflict Forbidden Invalid Late NotFound "
        "PlatformError QuotaExceeded Replayed TooLarge Unauthenticated Unavailable"
    ),
    "foedus.sdk.answers": (
        "AcceptedUpdate Artifact Checkpoint Credential EnrolmentKey Event "
        "Identity Member Project Reason Receipt Round Score"
    ),
    "foedus.sdk.built": "BuiltModel",
    "foedus.sdk.fma.client": "FmaClient Pulled",
    "foedus.sdk.fma.developer": "FmaDeveloper",
    "foedus.sdk.fma.weights": "schema_of",
    "foedus.sdk.leaving": "leave",
    "foedus.sdk.local": "Scaffold proximal_term",
    "foedus.sdk.operators": "Operator",
    "foedus.sdk.participant": "run_participant",
    "foedus.sdk.problems": "BadAnswer Redirected",
    "foedus.sdk.runner": "Outcome",
    "foedus.sdk.sessions": "take_part",
    "foedus.sdk.site": "Site",
    "foedus.sdk.stopping": "Stop",
    "foedus.sdk.training": "Context Evaluation Participant Update",
}
_PLACE = {name: place for place, names in _PLACES.items() for name in names.split()}

__all__ = [
    "AcceptedUpdate",
    "Arrays",
    "Artifact",
    "BadAnswer",
    "BuiltModel",
    "Checkpoint",
    "Conflict",
    "Context",
    "Credential",
    "EnrolmentKey",
    "Evaluation",
    "Event",
    "FmaClient",
    "FmaDeveloper",
    "Forbidden",
    "Identity",
    "Invalid",
    "Late",
    "Member",
    "NotFound",
    "Operator",
    "Outcome",
    "Participant",
    "PlatformError",
    "Project",
    "Pulled",
    "QuotaExceeded",
    "Reason",
    "Receipt",
    "Redirected",
    "Replayed",
    "Round",
    "Scaffold",
    "Score",
    "Site",
    "Stop",
    "TooLarge",
    "TopK",
    "Unauthenticated",
    "Unavailable",
    "Update",
    "leave",
    "proximal_term",
    "run_participant",
    "schema_of",
    "take_part",
]


def __getattr__(name: str) -> Any:
    if name not in _PLACE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = globals()[name] = getattr(import_module(_PLACE[name]), name)
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
