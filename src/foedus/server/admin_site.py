"""Django's admin pages. Superusers see every organisation's rows.

Staff sees what pages say that it may see by itself (FMA's, of its own organisation), and what a superuser gave it
permissions for: those are for all rows of a table.
"""

from typing import Any

import structlog
from django.contrib.admin import AdminSite
from django.contrib.admin.forms import AdminAuthenticationForm
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from foedus.core.errors import QuotaExceeded
from foedus.services.accounts.passwords import record_sign_in, user_by_password

log = structlog.get_logger()


class SignIn(AdminAuthenticationForm):
    """The pages' form, the console's too. ``retry_after_s`` is set for whoever was wrong too often.

    The log tells of refusals, so that a guard outside can count. No names: who is in a hurry types the password there.
    """

    retry_after_s: int | None = None

    def clean(self) -> dict[str, Any]:
        username, password = self.cleaned_data.get("username"), self.cleaned_data.get("password")
        if username is None or not password:
            return self.cleaned_data
        address = str(self.request.META.get("REMOTE_ADDR", "")) if self.request else ""
        now = timezone.now()
        try:
            self.user_cache = user_by_password(username, password, address, now=now)
        except QuotaExceeded as exc:
            self.retry_after_s = int(exc.context["retry_after_s"])
            raise ValidationError(
                f"Too many wrong passwords were tried from your address. Try again in {self.retry_after_s} seconds."
            ) from exc
        try:
            if self.user_cache is None:
                raise self.get_invalid_login_error()
            self.confirm_login_allowed(self.user_cache)
        except ValidationError:
            log.warning("sign_in.refused", address=address)
            record_sign_in(username, address, refused=True, now=now)
            raise
        record_sign_in(username, address, refused=False, now=now)
        return self.cleaned_data


class Site(AdminSite):
    site_header = "foedus"
    site_title = "foedus"
    index_title = "Records"
    login_form = SignIn

    def login(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Django answers 200 to whoever is refused, whatever the reason is."""
        answer: HttpResponse = super().login(request, extra_context)
        form = (getattr(answer, "context_data", None) or {}).get("form")
        if isinstance(form, SignIn) and form.retry_after_s is not None:
            answer.status_code = 429
            answer["Retry-After"] = str(form.retry_after_s)
        return answer

    def has_permission(self, request: HttpRequest) -> bool:
        return request.user.is_active and any(
            getattr(request.user, flag, False) for flag in ("is_staff", "is_superuser")
        )
