"""What one thread does for all is done after each of them came, and nobody waits for another."""

import threading

import pytest

from foedus.core.errors import Unavailable
from foedus.services.federation.errands import Errands


def test_who_comes_meanwhile_does_not_wait_and_it_is_done_again_for_all_of_them():
    errands, done = Errands(), []

    def work():
        done.append("work")
        if len(done) == 1:
            for _ in range(3):
                other = threading.Thread(target=errands.do, args=(1, lambda: done.append("by another")), daemon=True)
                other.start()
                other.join(10)
                assert not other.is_alive()
            errands.do(2, lambda: done.append("another key"))

    errands.do(1, work)

    assert done == ["work", "another key", "work"]
    assert errands._under_way == {}


def test_after_a_failure_it_is_done_for_whoever_comes_next():
    errands, done = Errands(), []
    with pytest.raises(ZeroDivisionError):
        errands.do(1, lambda: 1 / 0)

    errands.do(1, lambda: done.append("work"))

    assert done == ["work"]
    assert errands._under_way == {}


def test_who_must_have_it_done_waits_for_whoever_is_at_it_and_does_it_again():
    errands, done = Errands(), []
    began, go_on = threading.Event(), threading.Event()

    def work():
        began.set()
        go_on.wait(10)
        done.append("by the first")

    first = threading.Thread(target=errands.do, args=(1, work), daemon=True)
    first.start()
    began.wait(10)
    with pytest.raises(Unavailable, match="has not ended"):
        errands.do_here(1, lambda: done.append("too early"), 0.01)
    second = threading.Thread(target=errands.do_here, args=(1, lambda: done.append("by the second"), 10), daemon=True)
    second.start()
    go_on.set()
    for thread in (first, second):
        thread.join(10)

    assert done[0] == "by the first"
    assert done[-1] == "by the second"
    assert errands._under_way == {}
