"""Admin pages of federated models. What has consequences goes through the services, as on the other pages."""

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
from foedus.services.aggregation.access import Caller
from foedus.services.aggregation.models import Wanted, change_model, delete_model

_STEP_EM = 1.5


def _caller(request: HttpRequest) -> Caller:
    return Caller(user=cast(User, request.user))


@admin.register(FederatedModel)
class FederatedModelAdmin(LookAdmin):
    """Models are made through the API; here they are paused, let go on, closed to strangers, and deleted."""

    list_display = (
        "id",
        "name",
        "developer",
        "requirement",
        "allow_aggregation",
        "open_registration",
        "last_modified",
    )
    list_filter = ("allow_aggregation", "aggregator", "requirement")
    list_select_related = ("developer",)
    search_fields = ("name", "developer__username")
    actions = ("allow", "pause", "open_to_clients", "close_to_clients")

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:  # noqa: ARG002 - Django's
        return bool(getattr(request.user, "is_superuser", False))

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
class ClientAdmin(LookAdmin):
    list_display = ("uuid", "participant")
    list_select_related = ("participant",)
    search_fields = ("uuid",)


@admin.register(ModelUpdate)
class ModelUpdateAdmin(LookAdmin):
    list_display = ("id", "federated_model", "client", "status", "reason", "applied_aggregate", "created_on")
    list_filter = ("status", "federated_model")
    list_select_related = ("federated_model", "applied_aggregate")
    search_fields = ("client__uuid",)
    ordering = ("-pk",)


@admin.register(ModelAggregate)
class ModelAggregateAdmin(LookAdmin):
    """As a tree: each aggregate stands below its parent, further to the right."""

    list_display = ("shown", "federated_model", "checkpoint", "parent", "validation_score", "created_on")
    list_filter = ("federated_model",)
    list_select_related = ("federated_model", "checkpoint", "parent")
    ordering = ("federated_model", "pk")

    @admin.display(description="aggregate")
    def shown(self, row: ModelAggregate) -> SafeString:
        return format_html(
            '<span style="padding-inline-start: {}em">{}{}</span>',
            row.level * _STEP_EM,
            "└ " if row.level else "",
            row.pk,
        )


@admin.register(ModelArtifact)
class ModelArtifactAdmin(LookAdmin):
    list_display = ("id", "federated_model", "version", "created_on")
    list_select_related = ("federated_model",)
    search_fields = ("version",)


@admin.register(ClientAggregateScore)
class ClientAggregateScoreAdmin(LookAdmin):
    list_display = ("id", "aggregate", "client", "validation_results", "created_on")
    list_filter = ("aggregate__federated_model",)
