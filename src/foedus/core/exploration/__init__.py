"""Questions that statistics answer: description, tests, dependence, components, distributions.

    answer = explore("bi", statistics, Query(inputs=("age", "bmi")))       # {"covar": ..., "linCorr": ...}
    rounded(answer)                                                        # the same to four decimals

A metric is a function of statistics and a query, registered in the group ``foedus.explorations``; what it gives is
documented in docs/reference/explorations.md. Everything but quantiles and densities of continuous columns is exact.
"""

from foedus.core.exploration.query import Query, explore, rounded

__all__ = ["Query", "explore", "rounded"]
