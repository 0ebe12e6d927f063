"""Entry point of the aggregator function, under the name that deployments of FMA know."""

from foedus.server.serverless.aggregator import handler

__all__ = ["handler"]
