"""When a round starts, whom it invites, when it is over and whether it counts: one policy a file.

A policy is a frozen dataclass whose fields are its JSON options. It is registered by an entry point of the group
``foedus.policies`` and checks the ranges of its options itself.
"""
