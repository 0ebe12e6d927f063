"""Entry point of the API function, under the name that deployments of FMA know."""

from foedus.server.serverless.api import handler

__all__ = ["handler"]
