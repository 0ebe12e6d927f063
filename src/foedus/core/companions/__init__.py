"""What a project keeps beside its statistics, for models that these do not suffice for.

A companion is declared when a project is made, and turns each frame into a summary that merges: event tables, counts of
what follows what, micro-clusters, a posterior, the leaves of a forest, tails. A window keeps the statistics of the
latest rows.
"""

from foedus.core.companions.beside import Beside, decode, encode
from foedus.core.companions.companion import Companion
from foedus.core.companions.declared import Declared, declared

__all__ = ["Beside", "Companion", "Declared", "declared", "decode", "encode"]
