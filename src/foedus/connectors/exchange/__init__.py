"""Transports of federations: how nodes hand each other messages."""
