"""Connectors of the port ``compute``."""
