"""Django's admin pages, for superusers alone: they show every organisation's rows."""

from django.contrib.admin import AdminSite
from django.http import HttpRequest


class Site(AdminSite):
    site_header = "foedus"
    site_title = "foedus"
    index_title = "Records"

    def has_permission(self, request: HttpRequest) -> bool:
        return request.user.is_active and bool(getattr(request.user, "is_superuser", False))
