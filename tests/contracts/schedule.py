"""What every Schedule must do."""

import pytest


class ScheduleContract:
    """A connector's test subclasses it and gives ``schedule``, and ``entries``: what fires, by model."""

    @pytest.mark.parametrize("active", [True, False])
    def test_an_entry_fires_as_long_as_its_model_is_active(self, schedule, entries, active):
        schedule.keep(7, active=active)

        assert entries() == {7: active}

    def test_pausing_and_going_on_leave_one_entry(self, schedule, entries):
        for active in (True, True, False, True):
            schedule.keep(7, active=active)

            assert entries() == {7: active}

    def test_models_do_not_touch_each_other(self, schedule, entries):
        schedule.keep(7, active=True)
        schedule.keep(70, active=True)

        schedule.drop(7)

        assert entries() == {70: True}

    def test_dropping_what_is_not_there_is_no_error(self, schedule, entries):
        schedule.keep(7, active=True)

        schedule.drop(7)
        schedule.drop(7)

        assert entries() == {}
