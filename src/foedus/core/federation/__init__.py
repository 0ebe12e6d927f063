"""Rules of a federation of statistics: what its members promise each other, and what they may not send.

Pure: who is a member and how messages travel is the services' and the connectors' concern.
"""
