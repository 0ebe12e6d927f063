"""Admin pages of the SymetryML face: customers, shut out and let in there; projects and jobs, to be looked at."""

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone

from foedus.records.customers.models import Customer
from foedus.records.statistics.models import Encoder, StatisticsJob, StatisticsModel, StatisticsProject
from foedus.server.admin import LookAdmin, _actor, _for_each
from foedus.services.customers.accounts import expire_keys, set_disabled


@admin.register(Customer)
class CustomerAdmin(LookAdmin):
    """Keys are made and changed by ``foedus customers`` or the native API, where they are shown once."""

    list_display = ("cid", "organisation", "legacy", "created_at", "disabled_at")
    list_select_related = ("organisation",)
    list_filter = ("organisation", "legacy")
    search_fields = ("cid",)
    actions = ("disable", "enable", "expire")

    @admin.action(description="Shut the selected customers out")
    def disable(self, request: HttpRequest, rows: QuerySet[Customer]) -> None:
        actor, now = _actor(request), timezone.now()
        _for_each(self, request, rows, lambda row: set_disabled(actor, row.cid, disabled=True, now=now), "shut out")

    @admin.action(description="Let the selected customers in again")
    def enable(self, request: HttpRequest, rows: QuerySet[Customer]) -> None:
        actor, now = _actor(request), timezone.now()
        _for_each(self, request, rows, lambda row: set_disabled(actor, row.cid, disabled=False, now=now), "let in")

    @admin.action(description="End all keys of the selected customers")
    def expire(self, request: HttpRequest, rows: QuerySet[Customer]) -> None:
        actor, now = _actor(request), timezone.now()
        _for_each(self, request, rows, lambda row: expire_keys(actor, row.cid, in_s=0, now=now), "without valid keys")


@admin.register(StatisticsProject)
class StatisticsProjectAdmin(LookAdmin):
    list_display = ("name", "customer", "kind", "rows", "version", "frozen", "created_at", "modified_at")
    list_select_related = ("customer",)
    list_filter = ("kind", "frozen", "customer__organisation")
    search_fields = ("name", "customer__cid")


@admin.register(StatisticsModel)
class StatisticsModelAdmin(LookAdmin):
    list_display = ("name", "project", "algorithm", "version", "build_s", "created_at")
    list_select_related = ("project",)
    list_filter = ("algorithm",)
    search_fields = ("name", "project__name")


@admin.register(StatisticsJob)
class StatisticsJobAdmin(LookAdmin):
    list_display = ("id", "customer", "project", "kind", "state", "created_at", "finished_at")
    list_select_related = ("customer", "project")
    list_filter = ("state", "kind")
    exclude = ("result", "payload")


@admin.register(Encoder)
class EncoderAdmin(LookAdmin):
    list_display = ("name", "customer", "target", "target_type", "version")
    list_select_related = ("customer",)
    exclude = ("values",)
