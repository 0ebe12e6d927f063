"""The daily questionnaire of a study: visible messages to everybody with a phone, for hours of each phone's clock."""

from datetime import datetime

from django.db import transaction

from foedus.ports import Ports
from foedus.ports.push import PushMessage
from foedus.records.fleet.models import Device, QuestionnaireRun
from foedus.records.shell.models import Job
from foedus.services.fleet.options import FleetOptions
from foedus.services.shell import jobs

QUESTIONNAIRE_JOB = "flaas.questionnaire"
BATCH = 1000
TTL_S = 24 * 60 * 60
_AFTER_HOUR = 6  # UTC: early enough for every phone's morning


def enqueue_due(ports: Ports, options: FleetOptions, now: datetime) -> int:
    """Promise the day's messages once a day; how many there will be, each to everybody."""
    if not options.questionnaire_hours or now.hour < _AFTER_HOUR:
        return 0
    with transaction.atomic():
        _, is_new = QuestionnaireRun.objects.get_or_create(day=now.date(), defaults={"created_at": now})
        if not is_new:
            return 0
        for hour in options.questionnaire_hours:
            jobs.enqueue(
                ports, QUESTIONNAIRE_JOB, f"{now:%Y-%m-%d} {hour}", now,
                send_date=f"{now:%Y-%m-%d} {hour}", title=options.questionnaire_title,
                text=options.questionnaire_text, icon=options.questionnaire_icon,
            )  # fmt: skip
    return len(options.questionnaire_hours)


def send(ports: Ports, job: Job, *, now: datetime) -> None:  # noqa: ARG001 - a handler's signature
    """Do a "flaas.questionnaire" job. Messages carry no data: phones fall over data that is no training."""
    send_date = str(job.payload["send_date"])
    names = list(Device.objects.filter(user__is_active=True).order_by("pk").values_list("user__username", flat=True))
    for start in range(0, len(names), BATCH):
        ports.push.send(
            PushMessage(
                id=f"questionnaire-{send_date}-{start}".replace(" ", "-"),
                kind="questionnaire",
                recipients=names[start : start + BATCH],
                title=job.payload["title"],
                text=job.payload["text"],
                ttl_s=TTL_S,
                options={"send_date": send_date, "ignore_user_timezone": False, "icon": job.payload["icon"]},
            )
        )
    jobs.complete(job)
