"""What a market of computation trades in: documents about assets (DDOs), their identity, and what they offer.

The documents are those of the Nevermined data market. Its own examples contradict each other, so everything here
writes one form and reads all of them: ``aliases`` has the names, ``checksums`` the texts that are hashed.
"""
