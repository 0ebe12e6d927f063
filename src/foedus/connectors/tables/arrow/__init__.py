"""Learning from Parquet, CSV and Arrow files, and from Arrow tables in memory, with pyarrow (extra ``arrow``).

    statistics = learn_files(["visits/"], Plan(), Roles(kinds={"smoker": Kind.BINARY}, ignored=("date",)))
    statistics = learn_files(["visits/"], Plan(), Roles(), engine=on_dask("tls://scheduler:8786"))     # extra ``dask``
    statistics = learn_table(pyarrow_table, Plan(), Roles())

Files are read batch by batch: memory does not grow with them. Each file is learned on its own and files are merged in
the order of their paths, so every engine and number of threads gives the same bits.
"""

from foedus.connectors.tables.arrow.batches import Roles
from foedus.connectors.tables.arrow.engines import Engine, learn_files, learn_table, locally, on_dask

__all__ = ["Engine", "Roles", "learn_files", "learn_table", "locally", "on_dask"]
