"""How a participant leaves a project for good. Whoever only pauses sets ``stop`` and comes back when it likes."""

import logging
import os
import random
import ssl
import threading
from dataclasses import replace
from pathlib import Path

import httpx

from foedus.core.errors import Unauthenticated, Unavailable
from foedus.sdk.enrolment import Papers, join
from foedus.sdk.folder import Folder
from foedus.sdk.link import Link, path
from foedus.sdk.patience import Patience
from foedus.sdk.stopping import Stopped

log = logging.getLogger("foedus.participant")


def leave(
    *,
    url: str,
    token: str | None = None,
    project: str | None = None,
    state: str | os.PathLike[str] | None = None,
    stop: threading.Event | None = None,
    transport: httpx.BaseTransport | None = None,
    tls: ssl.SSLContext | None = None,
    rng: random.Random | None = None,
) -> bool:
    """Leave the project: what is under way is given up, rounds go on without us, and nobody asks us again.

    The options are those of ``run_participant``, which must not be running on the same ``state``; that folder forgets
    its token. Updates that were accepted stay. Coming back takes a new enrolment key. A server that does not answer is
    waited for; False when ``stop`` was set before it did.

    Raises: as ``run_participant``; Unauthenticated also for those who left every project before.
    """
    patience = Patience(stop or threading.Event(), rng or random.Random())  # noqa: S311 - spreads retries, no secret
    with Folder(None if state is None else Path(state)) as folder, Link(url, transport=transport, tls=tls) as link:
        try:
            member = join(link, patience, folder, Papers(token=token, project=project))
            patience.call("leave", _Departure(link, member.project))
        except Stopped:
            return False
        folder.remember(replace(member, token=""))
        folder.drop_pending()  # nobody will be given it any more
        log.info("left project %s for good", member.project)
        return True


class _Departure:
    """A call that may be repeated: it ends the last membership's token, so a repetition may be told that nobody knows
    us, after an answer that was lost.
    """

    def __init__(self, link: Link, project: str) -> None:
        self._link, self._project = link, project
        self._may_have_left = False

    def __call__(self) -> None:
        try:
            self._link.json("POST", path("projects", self._project, "leave"), body={})
        except Unavailable:
            self._may_have_left = True
            raise
        except Unauthenticated:
            if not self._may_have_left:
                raise
