from contextlib import suppress
from dataclasses import replace

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.core.privacy.parties import CRYPTO, Run, Signed, numbers_of, peers_of, plain_sum, session

from foedus.core.errors import Conflict, Forbidden, Invalid, PlatformError, Replayed
from foedus.core.privacy.secure_sum import Peer
from foedus.core.privacy.sum_board import Board
from foedus.core.privacy.sum_opening import total
from foedus.core.privacy.sum_session import Message, Reveal, Session, Stage, signed_text, usual_threshold

law = settings(deadline=None, max_examples=15)


def test_the_sum_is_the_plain_sum_to_the_bit():
    agreed = session(5)
    numbers = numbers_of(agreed)
    run = Run(agreed, numbers)

    run.until(Stage.REVEAL)

    for peer in run.peers.values():
        assert np.array_equal(peer.total(), plain_sum(numbers, agreed.peers))


@law
@given(st.data(), st.integers(3, 9))
def test_any_drop_outs_up_to_the_threshold_leave_the_sum_of_those_who_sent_numbers(data, n):
    agreed = session(n, words=3)
    drop_outs = data.draw(st.integers(0, n - agreed.threshold))
    gone = {p: data.draw(st.sampled_from(list(Stage))) for p in data.draw(st.permutations(agreed.peers))[:drop_outs]}
    numbers = numbers_of(agreed)
    run = Run(agreed, numbers, gone)

    run.until(Stage.REVEAL)

    stayed = [p for p in agreed.peers if gone.get(p) not in (Stage.ADVERT, Stage.SHARES, Stage.MASKED)]
    survivor = next(p for p in agreed.peers if p not in gone)
    assert run.summed == stayed
    assert np.array_equal(run.peers[survivor].total(), plain_sum(numbers, stayed))


def test_an_onlooker_with_all_messages_learns_the_sum_alone():
    agreed = session(4)
    numbers = numbers_of(agreed)
    run = Run(agreed, numbers)
    run.until(Stage.REVEAL)
    board = Board(agreed, Signed("onlooker").verify)
    for message in (m for messages in run.sent.values() for m in messages):
        board.take(message)

    assert np.array_equal(total(agreed, board, CRYPTO), plain_sum(numbers, agreed.peers))


@pytest.mark.parametrize("stage", [Stage.SHARES, Stage.MASKED, Stage.CONFIRM, Stage.REVEAL])
def test_with_fewer_than_the_threshold_there_is_no_sum(stage):
    agreed = session(5)  # takes 4
    run = Run(agreed, numbers_of(agreed), dict.fromkeys(agreed.peers[:2], stage))

    def summed():
        run.until(Stage.REVEAL)
        return run.peers[agreed.peers[4]].total()

    with pytest.raises(Conflict, match="too few"):
        summed()


def test_masked_numbers_are_uniform_whatever_they_hide():
    agreed = session(3, words=60_000)
    run = Run(agreed, {name: np.full(agreed.words, k, np.uint64) for k, name in enumerate(agreed.peers)})
    run.until(Stage.MASKED)

    masked = [np.frombuffer(m.body[1:], "<u8") for m in run.sent[Stage.MASKED]]

    for words in masked:
        counts = np.bincount(words.view(np.uint8), minlength=256)
        assert scipy.stats.chisquare(counts).pvalue > 1e-6
        assert scipy.stats.kstest(words / 2.0**64, "uniform").pvalue > 1e-6
        assert abs(np.corrcoef(words[:-1] / 2.0**64, words[1:] / 2.0**64)[0, 1]) < 0.02
    assert abs(np.corrcoef(masked[0] / 2.0**64, masked[1] / 2.0**64)[0, 1]) < 0.02


def test_the_same_numbers_never_look_the_same_twice_and_masks_of_pairs_alone_do_not_open_them():
    agreed = session(3, words=4)
    runs = [Run(agreed, {name: np.zeros(4, np.uint64) for name in agreed.peers}) for _ in range(2)]
    for run in runs:
        run.until(Stage.MASKED)

    first, second = ([m.body for m in run.sent[Stage.MASKED]] for run in runs)

    assert not set(first) & set(second)
    unmasked_pairs = sum(np.frombuffer(body[1:], "<u8") for body in first)
    assert unmasked_pairs.all()  # own masks are still on the sum, until enough peers open them


def test_no_share_is_opened_before_enough_peers_confirmed_the_same_set():
    agreed = session(5)
    run = Run(agreed, numbers_of(agreed))
    run.until(Stage.MASKED)
    peers = list(run.peers.values())

    # Whoever runs the sum tells three peers that all are there, and two that the first has dropped out.
    messages = [peer.confirm(agreed.peers if k < 3 else agreed.peers[1:]) for k, peer in enumerate(peers)]
    for peer in peers:
        for message in messages:
            peer.board.take(message)

    for peer in peers:
        with pytest.raises(Conflict, match="none is unmasked"):
            peer.reveal()


def test_confirmations_of_those_who_are_not_in_the_sum_do_not_count():
    agreed = session(5, threshold=4)
    run = Run(agreed, numbers_of(agreed))
    run.until(Stage.MASKED)
    out, *peers = run.peers.values()
    chosen = agreed.peers[1:]
    messages = [peer.confirm(chosen) for peer in peers[:3]]
    text = signed_text(agreed, Stage.CONFIRM, out.name, messages[0].body)
    messages.append(Message(Stage.CONFIRM, out.name, messages[0].body, Signed(out.name).sign(text)))
    for message in messages:
        peers[0].board.take(message)

    with pytest.raises(Conflict, match="none is unmasked"):
        peers[0].reveal()


def test_a_peer_confirms_one_set_only_and_takes_no_step_twice():
    agreed = session(4)
    run = Run(agreed, numbers_of(agreed))
    run.until(Stage.REVEAL)
    peer = next(iter(run.peers.values()))

    for again in (
        peer.advert,
        lambda: peer.share(agreed.peers),
        lambda: peer.mask(agreed.peers, run.numbers[peer.name]),
        lambda: peer.confirm(agreed.peers[:3]),
        peer.reveal,
    ):
        with pytest.raises(Conflict, match="once"):
            again()


def test_no_message_opens_both_the_own_mask_and_the_key_of_one_peer():
    agreed = session(7)
    gone = {agreed.peers[0]: Stage.MASKED, agreed.peers[1]: Stage.CONFIRM}
    run = Run(agreed, numbers_of(agreed), gone)
    run.until(Stage.REVEAL)

    for message in run.sent[Stage.REVEAL]:
        reveal = Reveal.decode(agreed, message.body)
        held = run.peers[message.sender]._held  # what it could have opened
        for dealer, (own, masking) in held.items():
            assert reveal.shares[agreed.holder(dealer)] == (masking if dealer == agreed.peers[0] else own)


def test_a_lie_about_who_masked_shows_and_gives_no_sum():
    agreed = session(5, threshold=4)
    run = Run(agreed, numbers_of(agreed))
    those = run.until(Stage.SHARES)
    run.stage(Stage.MASKED, lambda p: p.mask(those if p.name != those[0] else those[:4], run.numbers[p.name]))

    with pytest.raises(Conflict, match="masked otherwise"):
        run.peers[those[0]].confirm(those)
    run.summed = those
    for name in those[1:]:
        message = run.peers[name].confirm(those)
        for peer in run.peers.values():
            peer.board.take(message)
    messages = [run.peers[name].reveal() for name in those[1:]]
    for message in messages:
        run.peers[those[1]].board.take(message)
    with pytest.raises(Invalid, match="told different things"):
        run.peers[those[1]].total()


def tampered(peer, message, body):
    """What a peer that lies would send: its own signature over another body."""
    return replace(
        message, body=body, signature=Signed(peer.name).sign(signed_text(peer.session, message.stage, peer.name, body))
    )


def test_wrong_shares_that_are_opened_do_not_count_and_the_sum_is_right_without_them():
    agreed = session(5)
    numbers = numbers_of(agreed)
    run = Run(agreed, numbers)
    run.until(Stage.CONFIRM)
    messages = [peer.reveal() for peer in run.peers.values()]
    liar = run.peers[messages[0].sender]
    lie = tampered(liar, messages[0], messages[0].body[:-1] + b"\x01")
    board = Board(agreed, liar._identity.verify)
    for message in [*(m for sent in run.sent.values() for m in sent), lie, *messages[1:]]:
        board.take(message)

    assert np.array_equal(total(agreed, board, CRYPTO), plain_sum(numbers, agreed.peers))


def test_a_peer_that_dealt_shares_nobody_can_open_is_named():
    agreed = session(5)
    run = Run(agreed, numbers_of(agreed))
    those = run.stage(Stage.ADVERT, Peer.advert)
    messages = [peer.share(those) for peer in run.peers.values()]
    liar = run.peers[those[2]]
    head, entry = 32, (len(messages[2].body) - 32) // 5
    body = bytearray(messages[2].body)
    for k in range(5):
        body[head + (k + 1) * entry - 1] ^= 1  # the last byte of what is sealed
    for peer in run.peers.values():
        for message in messages:
            if message.sender != liar.name:
                peer.board.take(message)
    for peer in run.peers.values():
        if peer is not liar:
            peer.board.take(tampered(liar, messages[2], bytes(body)))
    run.stage(Stage.MASKED, lambda p: p.mask(those, run.numbers[p.name]))
    run.stage(Stage.CONFIRM, lambda p: p.confirm(those))
    run.stage(Stage.REVEAL, Peer.reveal)

    with pytest.raises(Conflict) as caught:
        run.peers[those[0]].total()
    assert caught.value.context["dealer"] == liar.name


@pytest.mark.parametrize("stage", list(Stage))
def test_a_message_of_another_length_is_refused(stage):
    agreed = session(4)
    run = Run(agreed, numbers_of(agreed))
    run.until(Stage.REVEAL)
    peer = next(iter(run.peers.values()))
    board = Board(agreed, peer._identity.verify)
    message = run.sent[stage][0]

    for body in (message.body[:-1], message.body + b"\0", b""):
        with pytest.raises(Invalid):
            board.take(tampered(peer, message, body))
    board.take(message)


@pytest.mark.parametrize("stage", list(Stage))
def test_a_forged_message_is_refused_and_so_is_a_second_one_with_other_content(stage):
    agreed = session(4)
    runs = [Run(agreed, numbers_of(agreed)) for _ in range(2)]
    for run in runs:
        run.until(Stage.REVEAL)
    message, other = (run.sent[stage][0] for run in runs)
    board = Board(agreed, Signed("onlooker").verify)

    with pytest.raises(Forbidden):
        board.take(replace(message, signature=b"no"))
    with pytest.raises(Forbidden):
        board.take(replace(message, sender=agreed.peers[1]))
    with pytest.raises(Invalid):
        board.take(replace(message, sender="stranger"))
    board.take(message)
    board.take(message)
    if other.body != message.body:  # confirmations are equal
        with pytest.raises(Replayed):
            board.take(other)


def test_a_message_of_another_session_is_forged():
    here, there = session(4), session(4, about=b"another")
    run = Run(there, numbers_of(there))
    run.until(Stage.ADVERT)

    with pytest.raises(Forbidden):
        peers_of(here)[here.peers[0]].board.take(run.sent[Stage.ADVERT][0])


def test_a_key_that_is_none_is_refused():
    with pytest.raises(Invalid):
        CRYPTO.agree(b"\x01" * 32, bytes(32), b"")


@law
@given(st.binary(max_size=400), st.sampled_from(list(Stage)))
def test_no_bytes_do_worse_than_being_refused(body, stage):
    agreed = session(4)
    text = signed_text(agreed, stage, "p000", body)
    board = Board(agreed, Signed("p001").verify)

    with suppress(PlatformError):
        board.take(Message(stage, "p000", body, Signed("p000").sign(text)))


@pytest.mark.parametrize(
    "change",
    [
        {"peers": ("a", "b")},
        {"peers": ("b", "a", "c", "d")},
        {"peers": ("a", "a", "b", "c")},
        {"threshold": 2},
        {"threshold": 5},
        {"words": 0},
        {"words": 1 << 40},
        {"id": b"short"},
    ],
)
def test_a_session_that_could_not_be_safe_is_refused(change):
    with pytest.raises(Invalid):
        replace(Session(b"i" * 32, ("a", "b", "c", "d"), 3, 1), **change)


@pytest.mark.parametrize(("peers", "threshold"), [(3, 3), (4, 3), (10, 7), (100, 67)])
def test_usually_a_third_may_drop_out(peers, threshold):
    assert usual_threshold(peers) == threshold


def test_numbers_of_another_length_or_kind_are_refused():
    agreed = session(3)
    run = Run(agreed, {name: np.zeros(7, np.uint64) for name in agreed.peers})

    with pytest.raises(Invalid, match="as many"):
        run.until(Stage.MASKED)


def test_a_sum_goes_on_from_sealed_secrets_in_another_process():
    agreed = session(4)
    numbers = numbers_of(agreed)
    run, words = Run(agreed, numbers), []

    def handed_over(act):
        """Each peer takes its step in a process that knows its secrets and the messages alone."""
        messages = []
        for name, peer in run.peers.items():
            anew = Peer.resumed((agreed, name, Signed(name), CRYPTO), peer.secrets())
            for word in words:
                anew.board.take(word)
            messages.append(act(anew))
            run.peers[name] = anew
        words.extend(messages)

    for act in (Peer.advert, lambda p: p.share(agreed.peers), lambda p: p.mask(agreed.peers, numbers[p.name]),
                lambda p: p.confirm(agreed.peers), Peer.reveal):  # fmt: skip
        handed_over(act)
    last = Peer.resumed((agreed, "p000", Signed("p000"), CRYPTO), run.peers["p000"].secrets())
    for word in words:
        last.board.take(word)

    assert np.array_equal(last.total(), plain_sum(numbers, agreed.peers))
    with pytest.raises(Conflict):
        last.confirm(agreed.peers)
