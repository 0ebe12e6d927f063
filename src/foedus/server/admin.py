"""Admin pages. What has consequences goes through the services; the rest is there to be looked at."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar, cast

from django.contrib import admin, messages
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.utils import timezone

from foedus import bootstrap
from foedus.core.errors import PlatformError
from foedus.records.accounts.models import Credential, Organisation, Participant, User
from foedus.records.learning.models import Artifact, Checkpoint, Draw, Project, Round, Score, Update
from foedus.records.shell.models import AuditEntry, Event, Job
from foedus.services.accounts.credentials import actor_of_user, revoke_any_credential
from foedus.services.learning.projects import COURSE, ChangeProject, change_project, delete_project
from foedus.services.shell import jobs
from foedus.services.shell.authorisation import Actor

M = TypeVar("M", bound=Model)

if TYPE_CHECKING:
    Page = admin.ModelAdmin[Any]
    PeoplePage = DjangoUserAdmin[User]
else:  # these are generic in their stubs only
    Page = admin.ModelAdmin
    PeoplePage = DjangoUserAdmin


class LookAdmin(Page):
    """Rows to be looked at: neither added, changed nor deleted."""

    show_full_result_count = False  # tables may be large
    list_per_page = 50

    def has_add_permission(self, request: HttpRequest) -> bool:  # noqa: ARG002 - Django's
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:  # noqa: ARG002
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:  # noqa: ARG002
        return False


def _actor(request: HttpRequest) -> Actor:
    return actor_of_user(cast(User, request.user))


def _for_each(page: Page, request: HttpRequest, rows: QuerySet[M], do: Callable[[M], object], done: str) -> None:
    """Do something to each row; say how many it worked for, and why not for the others."""
    count = 0
    for row in rows:
        try:
            do(row)
            count += 1
        except PlatformError as exc:
            page.message_user(request, f"{row}: {exc.message}", messages.ERROR)
    page.message_user(request, f"{count} {done}.")


@admin.register(Organisation)
class OrganisationAdmin(Page):
    list_display = ("name", "created_at")
    search_fields = ("name",)
    readonly_fields = ("created_at",)

    def save_model(self, request: HttpRequest, obj: Organisation, form: Any, change: bool) -> None:  # noqa: FBT001
        if not change:
            obj.created_at = timezone.now()
        super().save_model(request, obj, form, change)


@admin.register(User)
class UserAdmin(PeoplePage):
    list_display = ("username", "email", "organisation", "is_active", "is_superuser")
    list_filter = ("organisation", "is_active", "is_superuser")
    fieldsets = (*(DjangoUserAdmin.fieldsets or ()), ("foedus", {"fields": ("organisation",)}))
    add_fieldsets = (*DjangoUserAdmin.add_fieldsets, ("foedus", {"fields": ("organisation",)}))


@admin.register(Participant)
class ParticipantAdmin(LookAdmin):
    list_display = ("id", "name", "organisation", "created_at")
    list_filter = ("organisation",)
    search_fields = ("name",)


@admin.register(Credential)
class CredentialAdmin(LookAdmin):
    list_display = ("id", "name", "user", "participant", "created_at", "expires_at", "revoked_at")
    list_select_related = ("user", "participant")
    exclude = ("token_hash",)
    search_fields = ("name", "user__username", "participant__name")
    actions = ("revoke",)

    @admin.action(description="Revoke the selected credentials")
    def revoke(self, request: HttpRequest, rows: QuerySet[Credential]) -> None:
        actor, now = _actor(request), timezone.now()
        _for_each(self, request, rows, lambda row: revoke_any_credential(actor, row.pk, now=now), "revoked")


@admin.register(Project)
class ProjectAdmin(Page):
    """A few fields may be changed, all by the services; the rest belongs to the engine."""

    list_display = ("key", "title", "organisation", "state", "created_at")
    list_filter = ("state", "organisation")
    search_fields = ("key", "title")
    fields = (
        "key", "organisation", "state", "title", "settings", "evaluate_every", *COURSE,
        "strategy", "policy", "update_kind", "created_at",
    )  # fmt: skip
    readonly_fields = ("key", "organisation", "state", "strategy", "policy", "update_kind", "created_at")

    def has_add_permission(self, request: HttpRequest) -> bool:  # noqa: ARG002
        return False

    def save_model(self, request: HttpRequest, obj: Project, form: Any, change: bool) -> None:  # noqa: ARG002, FBT001
        wanted = {name: form.cleaned_data[name] for name in form.changed_data}
        wanted |= {name: {} for name in COURSE if name in wanted and wanted[name] is None}
        change_project(bootstrap.ports(), _actor(request), obj.key, ChangeProject(**wanted), now=timezone.now())

    def delete_model(self, request: HttpRequest, obj: Project) -> None:
        delete_project(bootstrap.ports(), _actor(request), obj.key, now=timezone.now())

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Project]) -> None:
        for project in queryset:
            self.delete_model(request, project)

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> tuple[list[Any], dict[str, int], set[str], Any]:
        """What goes with a project belongs to it, so that its pages being read-only forbids nothing."""
        found, counts, _, protected = super().get_deleted_objects(objs, request)
        return list(found), dict(counts), set(), protected


@admin.register(Round)
class RoundAdmin(LookAdmin):
    list_display = ("id", "project", "number", "phase", "opened_at", "closed_at")
    list_filter = ("phase", "project")
    list_select_related = ("project",)


@admin.register(Draw)
class DrawAdmin(LookAdmin):
    list_display = ("id", "round", "seed", "at")
    raw_id_fields = ("round",)


@admin.register(Update)
class UpdateAdmin(LookAdmin):
    list_display = ("id", "round", "membership", "task_round", "examples", "staleness", "accepted_at")
    raw_id_fields = ("round", "membership", "base")


@admin.register(Checkpoint)
class CheckpointAdmin(LookAdmin):
    list_display = ("id", "project", "number", "round_number", "size_bytes", "created_at")
    list_filter = ("project",)
    list_select_related = ("project",)


@admin.register(Score)
class ScoreAdmin(LookAdmin):
    list_display = ("id", "checkpoint", "membership", "user", "examples", "reported_at")


@admin.register(Artifact)
class ArtifactAdmin(LookAdmin):
    list_display = ("id", "project", "version", "checkpoint", "created_at")
    list_select_related = ("project",)
    search_fields = ("version",)


@admin.register(Event)
class EventAdmin(LookAdmin):
    list_display = ("id", "stream", "seq", "kind", "at")
    list_filter = ("kind",)
    search_fields = ("stream",)


@admin.register(Job)
class JobAdmin(LookAdmin):
    list_display = ("id", "kind", "subject", "state", "attempts", "run_at", "latest_error")
    list_filter = ("state", "kind")
    exclude = ("lease_token",)
    actions = ("retry",)

    @admin.action(description="Retry the selected jobs that were given up")
    def retry(self, request: HttpRequest, rows: QuerySet[Job]) -> None:
        ports, actor, now = bootstrap.ports(), _actor(request), timezone.now()
        failed = rows.filter(state=Job.State.FAILED)
        _for_each(self, request, failed, lambda job: jobs.retry(ports, actor, job, now=now), "queued again")


@admin.register(AuditEntry)
class AuditEntryAdmin(LookAdmin):
    list_display = ("id", "at", "actor", "verb", "object")
    list_filter = ("verb",)
    search_fields = ("actor", "object")
