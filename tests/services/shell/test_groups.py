"""What is answered by group comes back in the order of the questions."""

from foedus.core.errors import NotFound
from foedus.services.shell.groups import in_groups


def test_each_group_is_asked_once_and_each_answer_finds_its_question():
    asked = []

    def answer(key, some):
        asked.append((key, list(some)))
        return (f"{one}!" for one in some)

    assert in_groups(["a1", "b1", "a2"], lambda one: one[0], answer) == ["a1!", "b1!", "a2!"]
    assert asked == [("a", ["a1", "a2"]), ("b", ["b1"])]


def test_what_one_group_is_refused_with_does_not_concern_the_others():
    gone = NotFound("gone")

    def answer(key, some):
        for one in some:
            if key == "b":
                raise gone
            yield one

    assert in_groups(["a1", "b1", "a2", "b2"], lambda one: one[0], answer) == ["a1", gone, "a2", gone]


def test_a_bug_that_one_group_meets_is_its_own():
    bug = KeyError("nobody foresaw it")

    def answer(key, some):
        if key == "a":
            raise bug
        return some

    assert in_groups(["a1", "b1", "a2"], lambda one: one[0], answer) == [bug, "b1", bug]
