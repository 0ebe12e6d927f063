"""What strategies need of participants, seen to at the door."""

import numpy as np
import pytest
from tests import factories
from tests.factories import Study

from foedus.core.arrays import Arrays
from foedus.core.codecs import safetensors
from foedus.core.codecs.packed import METADATA
from foedus.core.codecs.packing import TopK, packed, sparsified
from foedus.core.errors import Invalid, NotFound, TooLarge
from foedus.core.rounds import Phase
from foedus.core.strategies.strategy import State
from foedus.records.learning.models import Round, Update
from foedus.services.learning.combining import combine
from foedus.services.learning.equipment import read_state
from foedus.services.learning.projects import ChangeProject, Rule, change_project
from foedus.services.learning.submitting import expect_update, submit_update
from foedus.services.learning.tasks import next_task
from foedus.services.learning.updates import SubmitUpdate
from foedus.services.learning.uploads import begin_upload
from foedus.services.shell import jobs
from foedus.services.shell.staging import staged

pytestmark = pytest.mark.django_db(transaction=True)
MODEL, CONTROL = factories.model(1.0), factories.model(2.0)
WITH_CONTROL = packed(MODEL, "plain", {"control": CONTROL})


@pytest.fixture
def study(ports, clock):
    """Makes a study of a strategy, and its one participant, who has a task."""

    def made(strategy, **fields):
        study = Study.create(ports, clock, strategy=Rule(name=strategy), **fields)
        member = study.join("a")
        study.next(member)
        return study, member

    return made


def hand_in(study, member, parts, metadata=METADATA, number=1, **metrics):
    command = SubmitUpdate(project=study.key, round=number, examples=1.0, metrics=metrics)
    data = safetensors.encode(parts, metadata)
    with staged(study.ports.scratch, [data], len(data)) as body:
        return submit_update(study.ports, member, command, body, now=study.clock())[0]


def equipment(study, member):
    return next_task(study.ports, member, study.key, evaluates=False, now=study.clock()).equipment


def combined(study):
    combine(study.ports, jobs.claim(study.clock()), now=study.clock())


def test_what_is_sent_is_the_state_that_the_round_before_left(study):
    scaffold, member = study("scaffold")
    assert equipment(scaffold, member).state is None

    hand_in(scaffold, member, WITH_CONTROL)
    combined(scaffold)

    kept = equipment(scaffold, member).state
    data = b"".join(scaffold.ports.blobs.read(kept.blob))
    state = State.from_tensors(safetensors.decode(data))
    assert len(data) == kept.size_bytes
    assert state.steps == 1
    assert (state.moments["control"]["weight"] == 2).all()
    assert read_state(scaffold.ports, member, "study", None) == kept


def test_after_another_strategy_all_begins_at_zero(study, ports, clock):
    scaffold, member = study("scaffold")
    hand_in(scaffold, member, WITH_CONTROL)
    change_project(ports, scaffold.operator, "study", ChangeProject(strategy=Rule(name="fedavg")), now=clock())
    combined(scaffold)
    if Round.objects.get(number=2).strategy["name"] == "scaffold":  # it had begun before the change
        hand_in(scaffold, member, WITH_CONTROL, number=2)
        combined(scaffold)
    current = Round.objects.latest("number")
    hand_in(scaffold, member, MODEL, {}, number=current.number)
    change_project(ports, scaffold.operator, "study", ChangeProject(strategy=Rule(name="scaffold")), now=clock())
    combined(scaffold)

    assert equipment(scaffold, member).strategy == "scaffold"
    assert equipment(scaffold, member).state is None


@pytest.mark.parametrize("strategy", ["fedavg", "fedadam"])
def test_a_strategy_that_sends_nothing_keeps_its_state_to_itself(study, ports, strategy):
    other, member = study(strategy)
    hand_in(other, member, MODEL, {})
    combined(other)

    assert equipment(other, member).state is None
    with pytest.raises(NotFound, match="nothing is sent"):
        read_state(ports, member, "study", 1)


def test_strangers_do_not_get_a_state(study, ports, clock):
    scaffold, member = study("scaffold")
    hand_in(scaffold, member, WITH_CONTROL)
    combined(scaffold)
    stranger = Study.create(ports, clock, "other", organisation="rival").operator

    with pytest.raises(NotFound):
        read_state(ports, stranger, "study", 1)


@pytest.mark.parametrize("metrics", [{}, {"loss": -0.1}])
def test_a_metric_that_the_strategy_needs_is_asked_for_before_the_body_and_after(study, ports, clock, metrics):
    fair, member = study("qfedavg")
    command = SubmitUpdate(project="study", round=1, examples=1.0, metrics=metrics)

    with pytest.raises(Invalid, match="loss"):
        expect_update(ports, member, command, None, now=clock())
    with pytest.raises(Invalid, match="loss"):
        hand_in(fair, member, MODEL, {}, **metrics)
    assert not Update.objects.exists()
    hand_in(fair, member, MODEL, {}, loss=0.0)
    combined(fair)
    assert Round.objects.get(number=1).state is Phase.COMPLETE


@pytest.mark.parametrize(
    ("strategy", "parts", "metadata", "said"),
    [
        ("scaffold", MODEL, {}, "needs control"),
        ("scaffold", packed(MODEL, "plain", {}), METADATA, "missing in the update"),
        ("scaffold", packed(MODEL, "plain", {"control": Arrays({"weight": np.ones(3)})}), METADATA, "shape"),
        ("fedavg", WITH_CONTROL, METADATA, "does not ask"),
        ("fedavg", sparsified(factories.model(1.0, (20, 20)), TopK(0.1), {})[0], METADATA, "sparse"),
        ("scaffold", packed(MODEL, "plain", {"control": factories.model(np.nan)}), METADATA, "not finite"),
    ],
)
def test_an_update_that_lacks_something_or_brings_too_much_is_refused_and_leaves_nothing(
    study, ports, strategy, parts, metadata, said
):
    refusing, member = study(strategy)

    with pytest.raises(Invalid, match=said):
        hand_in(refusing, member, parts, metadata)

    assert not Update.objects.exists()
    assert not list(ports.blobs.list(f"projects/{Round.objects.get().project_id}/updates"))


def test_the_limit_of_an_upload_grows_with_what_comes_back(ports, clock, study):
    plain = Study.create(ports, clock, "plain", start=False)
    wide = Study.create(ports, clock, "wide", strategy=Rule(name="scaffold"), start=False)
    large = factories.model(0.0, (200, 1000))
    for made in (plain, wide):
        made.put_model(large)
    size = 2 * large.layout.nbytes

    with pytest.raises(TooLarge):
        begin_upload(plain.join("a"), "plain", "0" * 64, size, now=clock())
    assert begin_upload(wide.join("b"), "wide", "0" * 64, size, now=clock())[1]


@pytest.mark.parametrize("encoding", ["float16", "bfloat16", "int8"])
def test_an_encoded_update_is_decoded_while_it_is_folded(ports, clock, encoding):
    made = Study.create(ports, clock, start=False)
    made.put_model(factories.model(0.0, (20, 20)))
    member = made.join("a")
    made.next(member)

    update = hand_in(made, member, packed(factories.model(0.5, (20, 20)), encoding, {}))
    combined(made)

    assert update.size_bytes < safetensors.size_bytes(factories.model(0.5, (20, 20)).layout)
    blob = Round.objects.get(number=1).checkpoint.blob
    weights = safetensors.decode(b"".join(ports.blobs.read(blob)))
    np.testing.assert_allclose(weights["weight"], 0.5, rtol=2**-8)


@pytest.mark.parametrize("strategy", ["fedadam", "fedavgm", "fedyogi", "fedadagrad", "scaffold"])
def test_a_step_of_absurd_size_is_refused_to_its_sender_and_spoils_no_round(study, strategy):
    trained, member = study(strategy)
    parts = {f"plain/{name}": np.full_like(array, 3e38) for name, array in MODEL.items()}
    extras = {f"extras/control/{name}": array for name, array in CONTROL.items()} if strategy == "scaffold" else {}

    with pytest.raises(Invalid, match="too large to be combined"):
        hand_in(trained, member, Arrays({**parts, **extras}))

    assert Round.objects.get(number=1).phase == Phase.COLLECTING


def test_constants_of_the_model_may_be_as_large_as_they_are(ports, clock):
    masked = Arrays({"mask": np.full(3, np.finfo(np.float32).min, np.float32)})
    study = Study.create(ports, clock, strategy=Rule(name="fedadam"), start=False)
    study.put_model(masked)
    member = study.join("a")
    study.next(member)

    assert hand_in(study, member, packed(masked, "plain", {}))


def test_a_model_whose_updates_would_all_be_refused_is_refused_itself(ports, clock):
    counting = Arrays({"w": np.zeros(2), "n": np.array([0, 2**60])})

    with pytest.raises(Invalid, match=f"'n' is {2**60} at element 1"):
        Study.create(ports, clock, start=False).put_model(counting)
    Study.create(ports, clock, "deltas", update_kind="delta", start=False).put_model(counting)


def test_counters_without_a_mean_are_refused_to_their_sender(ports, clock):
    study = Study.create(ports, clock, start=False)
    study.put_model(Arrays({"n": np.zeros(2, np.int64)}))
    member = study.join("a")
    study.next(member)

    with pytest.raises(Invalid, match="'n'"):
        hand_in(study, member, packed(Arrays({"n": np.array([0, 2**60])}), "plain", {}))
