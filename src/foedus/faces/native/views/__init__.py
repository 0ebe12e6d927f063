"""One module a subject; each view makes one call to a service."""
