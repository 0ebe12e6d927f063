"""Style sheets, scripts and pictures of the admin pages and the console."""

from collections.abc import Callable
from functools import cache
from urllib.parse import urlsplit

from django.conf import settings
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils.module_loading import import_string

Answers = Callable[[HttpRequest], HttpResponseBase]


def static_files(get_response: Answers) -> Answers:
    """Middleware: WhiteNoise, once somebody wants such a file. It looks at each of them first, some two hundred."""
    prefix = urlsplit(settings.STATIC_URL).path

    @cache
    def white_noise() -> Answers:
        found: Answers = import_string("whitenoise.middleware.WhiteNoiseMiddleware")(get_response)
        return found

    def answer(request: HttpRequest) -> HttpResponseBase:
        return white_noise()(request) if request.path_info.startswith(prefix) else get_response(request)

    return answer
