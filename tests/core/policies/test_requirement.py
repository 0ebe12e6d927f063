import pytest
from tests.core.policies.views import NOW, collecting, offer, people, waiting

from foedus.core.errors import Conflict, Late
from foedus.core.policies.requirement import Requirement
from foedus.core.rounds import Combine, Phase, Wait


@pytest.mark.parametrize(
    ("options", "counts", "met"),
    [
        ({}, {"updates": 0, "registered": 3}, False),
        ({}, {"updates": 1, "registered": 3}, True),
        ({"requirement": "require_x_updates", "x": 3}, {"updates": 2}, False),
        ({"requirement": "require_x_updates", "x": 3}, {"updates": 3, "reported": 1}, True),
        ({"requirement": "require_x_updates", "x": 3}, {"updates": 4}, True),
        ({"requirement": "all_clients"}, {"covered": 2, "registered": 3, "updates": 5}, False),
        ({"requirement": "all_clients"}, {"covered": 3, "registered": 3, "updates": 3}, True),
        ({"requirement": "all_clients"}, {"covered": 0, "registered": 0, "updates": 0}, False),
        ({"requirement": "all_clients"}, {"covered": 0, "registered": 0, "updates": 2}, False),
    ],
)
@pytest.mark.parametrize("phase", [Phase.WAITING, Phase.COLLECTING])
def test_a_round_is_combined_once_its_requirement_is_met(options, counts, met, phase):
    step = Requirement(**options).decide(waiting(phase=phase, **counts), NOW)

    assert isinstance(step, Combine if met else Wait)


@pytest.mark.parametrize(
    ("options", "view", "code", "text"),
    [
        ({}, waiting(), "too_few_updates", "0 of 1 needed update handed in."),
        (
            {"requirement": "require_x_updates", "x": 3},
            waiting(updates=2),
            "too_few_updates",
            "2 of 3 needed updates handed in.",
        ),
        (
            {"requirement": "all_clients"},
            waiting(registered=4, covered=2, pending=people(1, unseen_s=300, prefix="q")),
            "members_missing",
            "2 of 4 registered participants handed in an update; 2 missing. q0 was last seen 5 min ago.",
        ),
        ({"requirement": "all_clients"}, waiting(), "nobody_registered", "Nobody is registered for the project."),
    ],
)
def test_waiting_names_what_is_missing(options, view, code, text):
    step = Requirement(**options).decide(view, NOW)

    assert [(r.code, r.text) for r in step.reasons] == [(code, text)]
    assert step.until is None


@pytest.mark.parametrize(
    ("bound", "staleness", "late"), [(None, 999, False), (0, 0, False), (0, 1, True), (2, 2, False), (2, 3, True)]
)
def test_an_update_from_too_old_a_model_is_late(bound, staleness, late):
    policy = Requirement(furthest_base=bound)

    if late:
        with pytest.raises(Late, match=f"{staleness} checkpoints old; at most {bound} are allowed"):
            policy.admit(collecting(), offer(staleness=staleness), NOW)
    else:
        policy.admit(collecting(), offer(staleness=staleness), NOW)


@pytest.mark.parametrize(("limit", "earlier", "refused"), [(None, 99, False), (2, 1, False), (2, 2, True)])
def test_a_participant_may_hand_in_so_many_updates_a_round(limit, earlier, refused):
    policy = Requirement(updates_per_participant=limit)

    if refused:
        with pytest.raises(Conflict, match="holds 2 of your updates already; at most 2 are allowed"):
            policy.admit(waiting(), offer(earlier=earlier), NOW)
    else:
        policy.admit(waiting(), offer(earlier=earlier), NOW)


def test_neither_an_invitation_nor_the_round_of_the_task_matters():
    Requirement().admit(waiting(), offer(invited=False, task_round=1), NOW)


@pytest.mark.parametrize("phase", [Phase.COMBINING, Phase.COMPLETE, Phase.INVALID])
def test_a_closed_round_takes_no_update(phase):
    with pytest.raises(Late, match="round 3"):
        Requirement().admit(waiting(phase=phase), offer(), NOW)
