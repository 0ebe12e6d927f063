"""What one thread does for all is done after each of them came, and nobody waits for another."""

import threading

import pytest

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
