"""Django's admin pages. Superusers see every organisation's rows.

Staff sees what pages say that it may see by itself (FMA's, of its own organisation), and what a superuser gave it
permissions for: those are for all rows of a table.
"""

import structlog
from django.contrib.admin import AdminSite
from django.contrib.admin.forms import AdminAuthenticationForm
from django.core.exceptions import ValidationError
from django.http import HttpRequest

log = structlog.get_logger()


class SignIn(AdminAuthenticationForm):
    """Django answers 200 to whoever guesses; the log tells, so that a guard outside can count. No names: who is
    in a hurry types the password there.
    """

    def get_invalid_login_error(self) -> ValidationError:
        address = self.request.META.get("REMOTE_ADDR") if self.request else None
        log.warning("sign_in.refused", address=address)
        return super().get_invalid_login_error()


class Site(AdminSite):
    site_header = "foedus"
    site_title = "foedus"
    index_title = "Records"
    login_form = SignIn

    def has_permission(self, request: HttpRequest) -> bool:
        return request.user.is_active and any(
            getattr(request.user, flag, False) for flag in ("is_staff", "is_superuser")
        )
