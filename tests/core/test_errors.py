from foedus.core.errors import Conflict, NotFound


def test_an_error_says_what_its_message_leaves_out_and_nothing_twice():
    assert str(NotFound("there is no project 'ages'", project="ages")) == "there is no project 'ages'"
    assert str(Conflict("after 30 s it is closed", round=3)) == "after 30 s it is closed (round=3)"
    assert str(Conflict()) == "This does not fit the present state."
