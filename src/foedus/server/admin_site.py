"""Django's admin pages. Superusers see every organisation's rows.

Staff sees what pages say that it may see by itself (FMA's, of its own organisation), and what a superuser gave it
permissions for: those are for all rows of a table.
"""

from django.contrib.admin import AdminSite
from django.http import HttpRequest


class Site(AdminSite):
    site_header = "foedus"
    site_title = "foedus"
    index_title = "Records"

    def has_permission(self, request: HttpRequest) -> bool:
        return request.user.is_active and any(
            getattr(request.user, flag, False) for flag in ("is_staff", "is_superuser")
        )
