"""What this is, and who is asking."""

from importlib.metadata import version

from django.http import HttpRequest
from ninja import Router

from foedus.faces.native.answers.people import SelfOut, ServiceOut
from foedus.faces.native.auth import NativeRequest
from foedus.services.learning import reading

router = Router(tags=["service"])


@router.get("/", auth=None, response=ServiceOut)
def about(request: HttpRequest) -> ServiceOut:  # noqa: ARG001
    """The name and the version of this service."""
    return ServiceOut(service="foedus", version=version("foedus"), documentation="/foedus/v1/openapi.json")


@router.get("/me", response=SelfOut)
def me(request: NativeRequest) -> SelfOut:
    """Who the token belongs to."""
    return SelfOut.of(reading.describe(request.auth))
