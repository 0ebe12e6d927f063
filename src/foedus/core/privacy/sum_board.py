"""The messages of a secure sum as they came."""

from collections.abc import Callable, Mapping
from typing import TypeVar, cast

from foedus.core.errors import Forbidden, Invalid, Replayed
from foedus.core.privacy.sum_session import (
    DECODERS,
    STAGES,
    Advert,
    Confirm,
    Content,
    Masked,
    Message,
    Reveal,
    Session,
    Shares,
    Stage,
    signed_text,
)

C = TypeVar("C", Advert, Shares, Masked, Confirm, Reveal)


class Board:
    """The messages that came, one of each stage from each peer, all of them genuine."""

    def __init__(self, session: Session, verify: Callable[[str, bytes, bytes], bool]) -> None:
        self._session = session
        self._verify = verify
        self._contents: dict[Stage, dict[str, Content]] = {stage: {} for stage in Stage}

    def take(self, message: Message) -> None:
        """Raises Invalid, Forbidden for a forged one, Replayed for a second one with other content; then the first
        stays.
        """
        if message.sender not in self._session:
            raise Invalid("a message of a secure sum is from somebody who has no part in it")
        content = DECODERS[message.stage](self._session, message.body)
        text = signed_text(self._session, message.stage, message.sender, message.body)
        if not self._verify(message.sender, text, message.signature):
            raise Forbidden("a message of a secure sum is not signed by its sender", sender=message.sender)
        if self._contents[message.stage].setdefault(message.sender, content) != content:
            raise Replayed("a peer of a secure sum said two different things", sender=message.sender)

    def of(self, kind: type[C]) -> Mapping[str, C]:
        """By sender."""
        return cast("Mapping[str, C]", self._contents[STAGES[kind]])

    def senders(self, stage: Stage) -> frozenset[str]:
        return frozenset(self._contents[stage])
