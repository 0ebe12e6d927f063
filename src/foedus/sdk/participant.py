"""The one call of a participant: everything between a training function and a server."""

import logging
import os
import random
import ssl
import threading
from pathlib import Path

import httpx

from foedus.sdk.enrolment import Papers, join
from foedus.sdk.folder import Folder
from foedus.sdk.link import Link
from foedus.sdk.models import DEFAULT_MAX_MODEL_BYTES, Models
from foedus.sdk.patience import Patience
from foedus.sdk.runner import Outcome, Runner
from foedus.sdk.stopping import Stop, Stopped
from foedus.sdk.training import Abilities, Evaluate, Participant, Train

log = logging.getLogger("foedus.participant")


def run_participant(  # noqa: PLR0913 - the one door for people who train; every option has a name and a default
    participant: Participant | Train,
    *,
    url: str,
    key: str | None = None,
    token: str | None = None,
    project: str | None = None,
    name: str | None = None,
    state: str | os.PathLike[str] | None = None,
    evaluate: Evaluate | None = None,
    stop: threading.Event | None = None,
    transport: httpx.BaseTransport | None = None,
    tls: ssl.SSLContext | None = None,
    wait_s: float = 25.0,
    max_failures: int = 5,
    max_model_bytes: int = DEFAULT_MAX_MODEL_BYTES,
    rng: random.Random | None = None,
) -> Outcome:
    """Take part until the project is finished, or until ``stop`` is set.

    ``participant``      a function ``train(model, settings) -> Update``, or an object with such a method
    ``key``, ``token``   a one-time enrolment key, or a participant's token; neither is needed once ``state`` has one
    ``state``            a folder that remembers who we are and what is not handed in yet; a restart goes on from it
    ``stop``             an event; ``foedus.sdk.Stop`` breaks off an open long-poll, too
    ``tls``              a context that trusts a private authority or shows a client certificate
    ``wait_s``           how long one long-poll may take, at most 60
    ``max_failures``     failed rounds in a row after which the last error is raised

    Raises: Unauthenticated and Forbidden when the server does not know us (any more), NotFound when the project is
    gone, Invalid or Conflict when the arguments do not fit. Being unable to reach the server raises nothing: it waits.
    """
    stop = stop or Stop()
    abilities = Abilities.of(participant, evaluate)
    patience = Patience(stop, rng or random.Random())  # noqa: S311 - spreads retries, no secret
    with Folder(None if state is None else Path(state)) as folder, Link(url, transport=transport, tls=tls) as link:
        if isinstance(stop, Stop):
            stop.on_set(link.interrupt)
        runner: Runner | None = None
        try:
            member = join(link, patience, folder, Papers(key, token, project, name))
            models = Models(link, patience, folder.path / "models", max_model_bytes)
            states = Models(link, patience, folder.path / "states", max_model_bytes, part="state")
            runner = Runner(link, abilities, folder, models, states, patience, member.project, wait_s, max_failures)
            return runner.run()
        except Stopped:
            log.info("left, as asked")
            return runner.outcome if runner else Outcome(project or "")
        finally:
            if isinstance(stop, Stop):
                stop.off(link.interrupt)
