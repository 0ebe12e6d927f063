"""What the server adds to each of Django's requests."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

from foedus import bootstrap


class PortsMiddleware:
    """Hands the process's connectors to views, which know nothing of how they were made."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        request.ports = bootstrap.ports()  # type: ignore[attr-defined] # what views declare as NativeRequest
        return self._get_response(request)
