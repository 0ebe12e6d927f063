"""The addresses of this dialect that stand at the server's own root."""

from foedus.faces.nevermined.urls import root_urlpatterns as urlpatterns

__all__ = ["urlpatterns"]
