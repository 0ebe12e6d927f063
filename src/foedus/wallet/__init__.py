"""What the owner of a key makes and checks: addresses, grants, signed documents; server and client library alike.

Wants the extra ``market``.
"""
