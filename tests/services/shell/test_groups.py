"""What is answered by group comes back in the order of the questions."""

from foedus.services.shell.groups import in_groups


def test_each_group_is_asked_once_and_each_answer_finds_its_question():
    asked = []

    def answer(key, some):
        asked.append((key, list(some)))
        return (f"{one}!" for one in some)

    assert in_groups(["a1", "b1", "a2"], lambda one: one[0], answer) == ["a1!", "b1!", "a2!"]
    assert asked == [("a", ["a1", "a2"]), ("b", ["b1"])]
