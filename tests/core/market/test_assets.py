import pytest
from tests.markets import DID, DIGEST, container, coordinator, ddo, metadata, participant, raw

from foedus.core.errors import Invalid
from foedus.core.market.assets import Algorithm, Container, Coordinator, Dataset, Input, Workflow, read_asset
from foedus.core.market.dids import Did
from foedus.core.market.documents import Document


def asset(service):
    return read_asset(Document.read(raw(ddo(service))))


def stage(**changes):
    service = coordinator()
    service["attributes"]["main"]["workflow"]["stages"][0].update(changes)
    return asset(service).workflow.stages[0]


def test_a_coordinator_has_a_session_and_a_workflow_of_one_stage():
    found = asset(coordinator(heartbeatTimeout=3))

    assert isinstance(found, Coordinator)
    assert (found.session.rounds, found.session.min_participants, found.session.ratio) == (3, 2, 0.5)
    assert found.session.heartbeat_timeout_s == 3
    assert found.workflow.stages[0].container == Container("example/coordinator", "v1", DIGEST)
    assert not found.workflow.stages[0].publishes


def test_a_participant_reads_its_inputs_runs_its_program_and_publishes_nothing():
    found = asset(participant(DID))

    assert isinstance(found, Workflow)
    assert found.stages[0].inputs == (Input(Did.parse(DID)),)
    assert found.stages[0].transformation == Did.parse(DID)
    assert not found.stages[0].publishes


def test_missing_inputs_are_no_inputs_and_missing_instances_are_one():
    service = coordinator()
    entry = service["attributes"]["main"]["workflow"]["stages"][0]
    del entry["input"], entry["requirements"]["serverInstances"]

    found = asset(service).workflow.stages[0]

    assert (found.inputs, found.instances) == ((), 1)


def test_an_input_may_be_what_an_earlier_stage_left_under_either_name():
    assert stage(input=[{"index": 0, "previousStage": 0}]).inputs == (Input(None, 0),)
    assert stage(input=[{"index": 0, "previousIndexStage": 1}]).inputs == (Input(None, 1),)


def test_a_stage_with_an_output_publishes_unless_it_is_a_participants():
    assert stage(output={"metadataUrl": "http://market.example"}).publishes
    assert not stage(output={"metadataUrl": "http://market.example"}, stageType="Participant").publishes


def test_short_dids_of_inputs_are_taken():
    assert stage(input=[{"index": 0, "id": "did:nv:12345"}]).inputs[0].did.value.endswith(bytes.fromhex("012345"))


def test_an_algorithm_names_its_container_in_either_place_the_first_preferred():
    newer = {"entrypoint": "python a.py", "requirements": {"container": container(image="new")}}
    older = {"container": {**container(image="old"), "entrypoint": "python b.py"}}

    first, second = (asset(metadata("algorithm", algorithm=about, files=[])) for about in ({**older, **newer}, older))

    assert isinstance(first, Algorithm)
    assert (first.container.image, first.entrypoint) == ("new", "python a.py")
    assert (second.container.image, second.entrypoint) == ("old", "python b.py")


def test_a_data_set_lists_its_files():
    found = asset(metadata("dataset", files=[{"index": 0, "contentType": "text/csv", "name": "a.csv"}]))

    assert isinstance(found, Dataset)
    assert (found.files[0].name, found.files[0].content_type) == ("a.csv", "text/csv")


def test_digests_decide_which_image_is_which_and_names_only_without_them():
    assert Container("a", "v1", DIGEST).is_same(Container("b", "latest", DIGEST))
    assert not Container("a", "v1", DIGEST).is_same(Container("a", "v1", "sha256:" + "0" * 64))
    assert Container("a", "v1", DIGEST).is_same(Container("a", "v1"))
    assert not Container("a", "v1").is_same(Container("a", "v2"))


def test_the_misspelt_ratio_is_read():
    service = coordinator()
    service["attributes"]["main"]["parameters"] = {"rounds": 1, "minParticipants": 1, "participantsRation": 1}

    assert asset(service).session.ratio == 1


@pytest.mark.parametrize(
    "parameters",
    [
        {"rounds": 0},
        {"rounds": 2.5},
        {"rounds": True},
        {"rounds": None},
        {"rounds": "x"},
        {"rounds": 10_001},
        {"rounds": 10**400},
        {"minParticipants": 0},
        {"minParticipants": "-1"},
        {"minParticipants": 1_001},
        {"epochs": 10**400},
        {"participantsRatio": 0},
        {"participantsRatio": 1.01},
        {"participantsRatio": "0.5"},
        {"participantsRatio": 10**400},
        {"heartbeatTimeout": 0},
        {"sessionTimeout": -1},
        {"aggregator": "median"},
        {"allowedAgreements": "0x1"},
        {"allowedAgreements": [1]},
        {"allowedAgreements": ["1"] * 1_001},
    ],
)
def test_parameters_out_of_range_are_refused_by_name(parameters):
    with pytest.raises(Invalid, match=next(iter(parameters))):
        asset(coordinator(**parameters))


def test_a_type_nobody_knows_is_refused():
    with pytest.raises(Invalid, match=r"main\.type"):
        asset(metadata("nft"))


def test_a_workflow_without_stages_is_refused():
    with pytest.raises(Invalid, match="stages"):
        asset(metadata("workflow", workflow={"stages": []}))
