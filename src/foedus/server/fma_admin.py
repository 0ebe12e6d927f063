"""Admin pages of federated models, for staff as well. What has consequences goes through the services."""

from typing import Any, cast

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from foedus import bootstrap
from foedus.records.accounts.models import User
from foedus.records.aggregation.models import (
    Client,
    ClientAggregateScore,
    FederatedModel,
    ModelAggregate,
    ModelArtifact,
    ModelUpdate,
)
from foedus.server.admin import LookAdmin, _for_each
from foedus.services.aggregation.access import Caller, looks_after_all, reach
from foedus.services.aggregation.models import Wanted, change_model, delete_model

_STEP_EM = 1.5


def _user(request: HttpRequest) -> User:
    return cast(User, request.user)


def _caller(request: HttpRequest) -> Caller:
    return Caller(user=_user(request))


class FmaPage(LookAdmin):
    """Staff sees what it may read through the API, too. ``path`` leads from a row to its model."""

    path = "federated_model__"

    def has_module_permission(self, request: HttpRequest) -> bool:
        return self.has_view_permission(request)

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:  # noqa: ARG002 - Django's
        user = request.user
        return isinstance(user, User) and user.is_active and (user.is_staff or user.is_superuser)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        rows = super().get_queryset(request)
        user = _user(request)
        return rows if looks_after_all(user) else rows.filter(reach(user, self.path)).distinct()

    def get_list_filter(self, request: HttpRequest) -> Any:
        """Filters by model would name the models of others."""
        filters = super().get_list_filter(request)
        if looks_after_all(_user(request)):
            return filters
        return [name for name in filters if not str(name).endswith("federated_model")]


@admin.register(FederatedModel)
class FederatedModelAdmin(FmaPage):
    """Models are made through the API; here they are paused, let go on, closed to strangers, and deleted."""

    list_display = (
        "id",
        "name",
        "developer",
        "requirement",
        "allow_aggregation",
        "schedule",
        "open_registration",
        "last_modified",
    )
    path = ""
    list_filter = ("allow_aggregation", "aggregator", "requirement")
    list_select_related = ("developer", "project")
    search_fields = ("name", "developer__username")
    actions = ("allow", "pause", "open_to_clients", "close_to_clients")

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self.has_view_permission(request, obj)

    @admin.display(description="schedule")
    def schedule(self, row: FederatedModel) -> str:
        """Aggregates are made when updates arrive; time alone changes something only where a check is due."""
        if not row.allow_aggregation:
            return "paused"
        due = row.project.next_check_at
        return "when updates arrive" if due is None else f"when updates arrive, and {due:%Y-%m-%d %H:%M:%S} UTC"

    @admin.action(description="Allow aggregation")
    def allow(self, request: HttpRequest, rows: QuerySet[FederatedModel]) -> None:
        self._change(request, rows, {"allow_aggregation": True}, "allowed")

    @admin.action(description="Pause aggregation")
    def pause(self, request: HttpRequest, rows: QuerySet[FederatedModel]) -> None:
        self._change(request, rows, {"allow_aggregation": False}, "paused")

    @admin.action(description="Let clients register by themselves")
    def open_to_clients(self, request: HttpRequest, rows: QuerySet[FederatedModel]) -> None:
        self._change(request, rows, {"open_registration": True}, "opened")

    @admin.action(description="Take no more clients than the developer adds")
    def close_to_clients(self, request: HttpRequest, rows: QuerySet[FederatedModel]) -> None:
        self._change(request, rows, {"open_registration": False}, "closed")

    def delete_model(self, request: HttpRequest, obj: FederatedModel) -> None:
        delete_model(bootstrap.ports(), _caller(request), obj.pk, now=timezone.now())

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[FederatedModel]) -> None:
        for model in queryset:
            self.delete_model(request, model)

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> tuple[list[Any], dict[str, int], set[str], Any]:
        """What goes with a model belongs to it, so that its pages being read-only forbids nothing."""
        found, counts, _, protected = super().get_deleted_objects(objs, request)
        return list(found), dict(counts), set(), protected

    def _change(self, request: HttpRequest, rows: QuerySet[FederatedModel], columns: dict[str, Any], done: str) -> None:
        ports, caller, now = bootstrap.ports(), _caller(request), timezone.now()
        _for_each(
            self, request, rows, lambda row: change_model(ports, caller, row.pk, Wanted(columns=columns), now=now), done
        )


@admin.register(Client)
class ClientAdmin(FmaPage):
    """UUIDs are all that clients prove themselves by, so nobody sees those of another's."""

    path = "participant__memberships__project__federated_model__"
    list_display = ("uuid", "participant")
    list_select_related = ("participant",)
    search_fields = ("uuid",)


@admin.register(ModelUpdate)
class ModelUpdateAdmin(FmaPage):
    list_display = ("id", "federated_model", "client", "status", "reason", "applied_aggregate", "created_on")
    list_filter = ("status", "federated_model")
    list_select_related = ("federated_model", "applied_aggregate")
    search_fields = ("client__uuid",)
    ordering = ("-pk",)


@admin.register(ModelAggregate)
class ModelAggregateAdmin(FmaPage):
    """As a tree: each aggregate stands below its parent, further to the right."""

    list_display = ("shown", "federated_model", "validation_score", "created_on")
    list_filter = ("federated_model",)
    list_select_related = ("federated_model",)
    ordering = ("federated_model", "pk")

    @admin.display(description="aggregate")
    def shown(self, row: ModelAggregate) -> SafeString:
        return format_html(
            '<span style="padding-inline-start: {}em; white-space: nowrap">{}{}</span>',
            row.level * _STEP_EM,
            "└ " if row.level else "",
            row.pk,
        )


@admin.register(ModelArtifact)
class ModelArtifactAdmin(FmaPage):
    list_display = ("id", "federated_model", "version", "created_on")
    list_select_related = ("federated_model",)
    search_fields = ("version",)


@admin.register(ClientAggregateScore)
class ClientAggregateScoreAdmin(FmaPage):
    path = "aggregate__federated_model__"
    list_display = ("id", "aggregate", "client", "validation_results", "created_on")
    list_filter = ("aggregate__federated_model",)
