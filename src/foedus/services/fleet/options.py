"""What the operator of a server decides about all of its fleets."""

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from foedus.core.errors import Invalid

_HOUR = re.compile(r"([01]\d|2[0-3]):[0-5]\d")


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetOptions:
    """How long things are kept, and the daily questionnaire: without ``questionnaire_hours`` there is none.

    ``report_days``   status reports of phones
    ``model_days``    models that phones uploaded, after their round was over; what came of them stays
    Hours are ``HH:MM`` on each phone's own clock.
    """

    report_days: float = 30.0
    model_days: float = 7.0
    questionnaire_hours: tuple[str, ...] = ()
    questionnaire_title: str = "How was your day?"
    questionnaire_text: str = "Please take a minute to answer our questions."
    questionnaire_icon: str = ""

    def __post_init__(self) -> None:
        for name in ("report_days", "model_days"):
            if not 0 < getattr(self, name) <= 36_500:
                raise Invalid(f"{name} must be above 0 and at most 36500 days", field=name)
        for hour in self.questionnaire_hours:
            if not _HOUR.fullmatch(hour):
                raise Invalid(f"questionnaire hours are written HH:MM, not {hour[:20]!r}", field="questionnaire_hours")
        if self.questionnaire_icon and urlsplit(self.questionnaire_icon).scheme != "https":
            raise Invalid("the questionnaire's icon is an https address", field="questionnaire_icon")
