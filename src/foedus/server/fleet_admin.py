"""Admin pages of fleets: projects, who is assigned to which, and devices. All that has consequences is a service's."""

from typing import Any, ClassVar, cast

from django import forms
from django.contrib import admin
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.utils import timezone

from foedus import bootstrap
from foedus.core.fleet.layouts import fleet_model, fleet_models
from foedus.records.accounts.models import User
from foedus.records.fleet.models import Device, FleetProject, Profile
from foedus.records.fleet.queries import current_number, find_assignment
from foedus.records.learning.queries import find_newest_round
from foedus.server.admin import Page, UserAdmin
from foedus.services.accounts.credentials import actor_of_user
from foedus.services.fleet import assignment, projects, tokens
from foedus.services.fleet.accounts import device_of
from foedus.services.fleet.fields import EDITABLE, STATUS, BadFields
from foedus.services.fleet.status import Status, status_of


def _caller(request: HttpRequest) -> User:
    return cast(User, request.user)


class FleetProjectForm(forms.ModelForm):  # type: ignore[type-arg] # generic in its stubs only
    """All that an operator may set, the status included, checked as the API checks it."""

    status = forms.ChoiceField(choices=[(status.value, status.value) for status in Status])
    model = forms.ChoiceField()
    dataset = forms.ChoiceField()

    class Meta:
        model = FleetProject
        fields = EDITABLE

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        models = [fleet_model(name) for name in fleet_models()]
        self.fields["model"] = forms.ChoiceField(choices=[(m.name, m.label) for m in models])
        self.fields["dataset"] = forms.ChoiceField(choices=sorted({(m.dataset, m.dataset_label) for m in models}))
        if self.instance.pk:
            self.initial[STATUS] = status_of(self.instance.project).value

    def clean(self) -> dict[str, Any]:
        values: dict[str, Any] = super().clean() or {}
        if not self.errors:
            existing = FleetProject.objects.select_related("project").filter(pk=self.instance.pk).first()
            try:
                projects.check(bootstrap.ports(), existing, values)
            except BadFields as exc:
                for name, messages in exc.errors.items():
                    self.add_error(name if name in self.fields else None, messages)
        return values


@admin.register(FleetProject)
class FleetProjectAdmin(Page):
    form = FleetProjectForm
    list_display = ("title", "id_in_paths", "status", "current_round", "dataset_type", "training_mode")
    readonly_fields = ("current_round", "created_at")
    search_fields = ("title",)
    list_select_related = ("project",)

    @admin.display(description="ID")
    def id_in_paths(self, fleet: FleetProject) -> int:
        return int(fleet.pk)

    def status(self, fleet: FleetProject) -> str:
        return status_of(fleet.project).value

    def current_round(self, fleet: FleetProject) -> int:
        return current_number(find_newest_round(fleet.project)) if fleet.pk else 0

    def created_at(self, fleet: FleetProject) -> Any:
        return fleet.project.created_at if fleet.pk else "-"

    def save_model(self, request: HttpRequest, obj: FleetProject, form: Any, change: bool) -> None:  # noqa: FBT001
        values, now = form.cleaned_data, timezone.now()
        if change:
            changed = {name: values[name] for name in form.changed_data}
            projects.change(bootstrap.ports(), _caller(request), obj.pk, changed, now=now)
            return
        made = projects.create(bootstrap.ports(), _caller(request), values, now=now)
        obj.project = made.project

    def delete_model(self, request: HttpRequest, obj: FleetProject) -> None:
        projects.delete(bootstrap.ports(), _caller(request), obj.pk, now=timezone.now())

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[FleetProject]) -> None:
        for fleet in queryset:
            self.delete_model(request, fleet)

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> tuple[list[Any], dict[str, int], set[str], Any]:
        """What goes with a project belongs to it, so that its pages being read-only forbids nothing."""
        found, counts, _, protected = super().get_deleted_objects(objs, request)
        return list(found), dict(counts), set(), protected


class ProfileForm(forms.ModelForm):  # type: ignore[type-arg] # generic in its stubs only
    project = forms.ModelChoiceField(FleetProject.objects.order_by("title"), required=False)

    class Meta:
        model = Profile
        fields: ClassVar[tuple[str, ...]] = ()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        found = find_assignment(self.instance) if self.instance.pk else None
        self.initial["project"] = found.project_id if found else None


class _Existing(Page):
    """Rows that come and go with their users."""

    def has_add_permission(self, request: HttpRequest) -> bool:  # noqa: ARG002 - Django's
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:  # noqa: ARG002
        return False


@admin.register(Profile)
class ProfileAdmin(_Existing):
    """Who is assigned to which project."""

    form = ProfileForm
    list_display = ("user", "assigned_to", "samples_index", "reported_at")
    list_select_related = ("user", "participant")
    search_fields = ("user__username",)
    readonly_fields = ("user",)
    fields = ("user", "project")

    def assigned_to(self, profile: Profile) -> str:
        found = find_assignment(profile)
        return found.project.fleet.title if found else "-"

    def save_model(self, request: HttpRequest, obj: Profile, form: Any, change: bool) -> None:  # noqa: ARG002, FBT001
        chosen: FleetProject | None = form.cleaned_data["project"]
        actor = actor_of_user(_caller(request))
        pk = chosen.pk if chosen else None
        assignment.move(bootstrap.ports(), actor, obj, pk, now=timezone.now())


@admin.register(Device)
class DeviceAdmin(_Existing):
    list_display = ("user", "id", "model", "os_version", "samples_index", "reported_at", "power_plugged")
    list_select_related = ("user",)
    search_fields = ("user__username", "model")
    actions = ("end_logins",)

    def get_readonly_fields(self, request: HttpRequest, obj: Device | None = None) -> tuple[str, ...]:  # noqa: ARG002
        """What phones say of themselves is theirs; which samples they train on is the operator's."""
        return tuple(f.name for f in Device._meta.fields if f.name != "samples_index")  # noqa: SLF001 - Django's way

    @admin.action(description="End all logins of the selected devices")
    def end_logins(self, request: HttpRequest, rows: QuerySet[Device]) -> None:
        count = sum(tokens.revoke_all(device.user, now=timezone.now()) for device in rows.select_related("user"))
        self.message_user(request, f"{count} tokens ended.")


admin.site.unregister(User)


@admin.register(User)
class PhoneOwnerAdmin(UserAdmin):
    """Whoever is added has a device, too, so that it can be assigned before the phone is there."""

    def save_model(self, request: HttpRequest, obj: User, form: Any, change: bool) -> None:  # noqa: FBT001
        super().save_model(request, obj, form, change)
        if not change:
            device_of(obj, now=timezone.now())
