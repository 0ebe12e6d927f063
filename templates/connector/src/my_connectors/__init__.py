"""Connectors for foedus."""
