"""Taking the masks off the sum of a secure sum, by whoever has all messages."""

from collections.abc import Collection, Iterable, Mapping

import numpy as np

from foedus.core.errors import Conflict, Invalid
from foedus.core.privacy.fixed_point import Words
from foedus.core.privacy.shamir import secret_from
from foedus.core.privacy.sum_board import Board
from foedus.core.privacy.sum_masks import Primitives, add_pair, as_bytes, own_key, seed_hash, share_hash
from foedus.core.privacy.sum_session import Advert, Masked, Reveal, Session, Shares


def total(session: Session, board: Board, crypto: Primitives) -> Words:
    """The sum of those whose numbers enough peers unmasked. Raises Conflict before, Invalid naming who did wrong."""
    reveals, adverts = board.of(Reveal), board.of(Advert)
    summed = agreed_on(session, reveals.values())
    agreeing = {name: reveal for name, reveal in reveals.items() if reveal.peers == summed}
    result, maskers = _masked_sum(session, board, summed)
    for peer in sorted(summed):
        seed = _reopened(session, board, peer, agreeing, own=True)
        if seed_hash(session, peer, seed) != board.of(Shares)[peer].seed:
            raise Invalid("a peer of a secure sum dealt shares of another mask than its own", peer=peer)
        result -= crypto.stream(own_key(session, seed), session.words)
    if not maskers <= adverts.keys():
        raise Conflict("adverts of a secure sum have not come yet", of=sorted(maskers - adverts.keys())[:5])
    for gone in sorted(maskers - summed):
        secret = _reopened(session, board, gone, agreeing, own=False)
        if crypto.public_key(secret) != adverts[gone].masking:
            raise Invalid("a peer that dropped out of a secure sum dealt shares of another key than its own", peer=gone)
        for peer in summed:  # what the one that is gone would have added takes away what the others added for it
            add_pair(session, crypto, result, secret, (gone, peer, adverts[peer].masking))
    return result


def _masked_sum(session: Session, board: Board, summed: Collection[str]) -> tuple[Words, frozenset[str]]:
    """And the peers with whom the numbers are masked."""
    masked = board.of(Masked)
    maskers = {masked[peer].peers for peer in summed if peer in masked}
    if len(maskers) != 1 or any(peer not in masked for peer in summed):
        raise Invalid("the masks of a secure sum do not belong together: peers were told different things")
    result = np.zeros(session.words, np.uint64)
    for peer in summed:
        result += np.frombuffer(masked[peer].words, "<u8")
    return result, maskers.pop()


def agreed_on(session: Session, reveals: Iterable[Reveal]) -> frozenset[str]:
    """Whose sum it is. Raises Conflict before enough opened it."""
    sets = [reveal.peers for reveal in reveals]
    for chosen in set(sets):
        if sets.count(chosen) >= session.threshold:
            return chosen
    raise Conflict("too few peers have opened their shares for a sum", opened=len(sets), needed=session.threshold)


def _reopened(session: Session, board: Board, dealer: str, reveals: Mapping[str, Reveal], *, own: bool) -> bytes:
    """The secret of which enough peers opened shares. Those that are not what the dealer's hashes say do not count."""
    shares = board.of(Shares).get(dealer)
    number = session.holder(dealer)
    good: dict[int, int] = {}
    for name, reveal in sorted(reveals.items()):
        holder, share = session.holder(name), reveal.shares.get(number)
        dealt = shares.dealt.get(holder) if shares else None
        if dealt is None or share is None:
            continue
        if share_hash(session, dealer, holder, share, own=own) == (dealt.own if own else dealt.masking):
            good[holder] = share
        if len(good) == session.threshold:
            return as_bytes(secret_from(good))
    raise Conflict("too few shares of a secret are good; the sum cannot be told", dealer=dealer, good=len(good))
