import asyncio
from contextlib import ExitStack

import pytest
from starlette.requests import Request

from foedus.faces.native.streaming import bodies, downloads
from foedus.faces.native.streaming.crowds import LARGEST_BYTES, SMALLEST_BYTES, TOGETHER_BYTES, Crowd


def test_whoever_is_alone_takes_large_pieces():
    crowd = Crowd()

    with crowd.joined():
        assert crowd.piece_bytes() == LARGEST_BYTES


def test_pieces_shrink_with_the_crowd_and_grow_again():
    crowd = Crowd()

    with crowd.joined(), crowd.joined():
        assert crowd.piece_bytes(coming=30) == TOGETHER_BYTES // 32
        assert crowd.piece_bytes(coming=10_000) == SMALLEST_BYTES
    assert crowd.piece_bytes() == LARGEST_BYTES


def test_who_leaves_in_a_hurry_is_gone_too():
    crowd = Crowd()

    with pytest.raises(ValueError, match="cut"), crowd.joined():
        raise ValueError("cut")

    assert crowd.piece_bytes(coming=1) == LARGEST_BYTES


def pieces_of(chunks):
    """What a body that comes in these chunks is handed on in."""
    left = list(chunks)

    async def receive():
        return {"type": "http.request", "body": left.pop(0), "more_body": bool(left)}

    async def read():
        return [len(piece) async for piece in bodies._pieces(Request({"type": "http"}, receive))]

    return asyncio.run(read())


def test_bodies_come_in_smaller_pieces_where_many_come():
    chunks = [bytes(16 << 10)] * 128

    assert pieces_of(chunks) == [1 << 20] * 2
    with ExitStack() as crowd:
        for _ in range(32):
            crowd.enter_context(bodies._senders.joined())
        assert pieces_of(chunks) == [128 << 10] * 16


def test_models_go_out_in_smaller_pieces_where_many_read(ports):
    ports.blobs.put("model", bytes(2 << 20))

    alone, in_a_crowd = (
        [len(piece) for piece in downloads._Bodies(ports, askers).part("model", 0, 2 << 20)] for askers in (1, 32)
    )

    assert alone == [1 << 20] * 2
    assert in_a_crowd == [128 << 10] * 16
