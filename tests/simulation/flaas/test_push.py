import json

import pytest

from foedus.core.errors import Invalid
from foedus.ports.push import PushMessage, to_json
from foedus.simulation.flaas.outbox import Outbox
from foedus.simulation.flaas.push import AppCrash, Inbox, TrainPush

DATA = {
    "type": "train",
    "validDate": 1_795_000_000_000,
    "request": 3,
    "project": 1,
    "round": 0,
    "trainingMode": "BASELINE",
}


def line(number, *names, data=DATA):
    return to_json(PushMessage(id=f"m{number}", kind="train", recipients=names or ("bob",), data=data))


@pytest.fixture
def delivered():
    return []


@pytest.fixture
def deliver(delivered):
    return lambda names, data: delivered.append((tuple(names), data["round"]))


def test_numbers_may_come_as_text():
    push = TrainPush.read({name: str(value) for name, value in DATA.items()})

    assert (push.valid_date_ms, push.request, push.project, push.round) == (1_795_000_000_000, 3, 1, 0)


@pytest.mark.parametrize("name", ["validDate", "request", "project", "round"])
@pytest.mark.parametrize("kind", ["train", "something else"])
def test_data_without_its_numbers_crashes_the_app_whatever_its_type(name, kind):
    with pytest.raises(AppCrash, match=name):
        TrainPush.read({key: value for key, value in DATA.items() if key != name} | {"type": kind})


def test_extra_keys_are_ignored_unless_they_are_nested():
    assert TrainPush.read(DATA | {"epsilon": 1}) == TrainPush.read(DATA)
    with pytest.raises(AppCrash, match="extra"):
        TrainPush.read(DATA | {"extra": {"a": 1}})


def test_a_push_of_another_type_means_nothing():
    assert TrainPush.read(DATA | {"type": "hello"}) is None


def test_a_repeated_message_is_delivered_once(deliver, delivered):
    inbox = Inbox(deliver)

    inbox.take(line(1, "bob", "eve"))
    inbox.take(line(1, "bob", "eve"))

    assert delivered == [(("bob", "eve"), 0)]


def test_a_message_for_people_does_nothing(deliver, delivered):
    Inbox(deliver).take(to_json(PushMessage(id="q", kind="questionnaire", recipients=["bob"], title="How are you?")))

    assert delivered == []


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b'{"id": 1}', b"\xff", b'{"id":"a","recipients":"bob","data":{}}'])
def test_anything_else_is_refused(deliver, text):
    with pytest.raises(Invalid):
        Inbox(deliver).take(text)


def test_the_outbox_is_followed_line_by_line(tmp_path, deliver, delivered):
    path = tmp_path / "push.jsonl"
    outbox = Outbox(path, deliver)
    outbox.look()  # there is no file yet

    first, second = line(1) + b"\n", line(2, data=DATA | {"round": 1}) + b"\n"
    path.write_bytes(first + second[:20])
    outbox.look()
    with path.open("ab") as file:
        file.write(second[20:] + b"rubbish\n")
    outbox.look()
    with path.open("ab") as file:
        file.write(line(3, data=DATA | {"round": 2}) + b"\n")
    outbox.look()

    assert [number for _, number in delivered] == [0, 1, 2]
    outbox.close()


def test_a_new_file_in_the_outboxs_place_is_read_from_its_beginning(tmp_path, deliver, delivered):
    path = tmp_path / "push.jsonl"
    path.write_bytes(line(1) + b"\n")
    outbox = Outbox(path, deliver, replay=True)
    outbox.look()

    with path.open("ab") as file:
        file.write(line(2, data=DATA | {"round": 1}) + b"\n")
    path.rename(tmp_path / "push.000001.jsonl")
    path.write_bytes(line(3, data=DATA | {"round": 2}) + b"\n")
    outbox.look()

    assert [number for _, number in delivered] == [0, 1, 2]
    outbox.close()


def test_what_is_old_is_skipped_unless_asked_for(tmp_path, deliver, delivered):
    path = tmp_path / "push.jsonl"
    path.write_bytes(line(1) + b"\n")
    outbox = Outbox(path, deliver)

    outbox.look()
    with path.open("ab") as file:
        file.write(json.dumps(json.loads(line(2, data=DATA | {"round": 1}))).encode() + b"\n")
    outbox.look()

    assert delivered == [(("bob",), 1)]
    outbox.close()
