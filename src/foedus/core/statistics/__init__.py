"""What a project keeps instead of rows: one immutable value that adds up.

    plan = Plan(targets=("smoker",), sketches=True)
    table = Table(("age", "bmi"), (Kind.CONTINUOUS, Kind.CONTINUOUS), matrix)
    batch = Batch([table, Column("smoker", Kind.BINARY, zeros_and_ones)])
    one = Statistics.of(batch, plan, threads=2)      # learn: NaN is a missing value, a code of -1 in ``Codes`` too
    both = one.merge(other)                          # the statistics of the rows of both, whatever the order
    one == both.forget(other)                        # up to rounding; counts, categories and sketches to the bit
    same = merge_all(peers)                          # the same bits on every node that has the same parts
    data = encode(both); both = decode(data)         # the same statistics are the same bytes; raises Invalid
    decode(data, foreign=False)                      # our own: not examined for being statistics of any rows

Reading: ``both.columns`` (sorted; a category ``c`` is columns ``c$level``, so places say nothing about the order in
which columns came: whoever numbers attributes keeps that list), ``both.rows``, ``both.schema.attributes``,
``both.schema.fingerprint`` (names and kinds), ``both.patients`` (``estimate()``), and

    v = both.view(["age", "bmi", "smoker"])          # or view(part=("smoker", "1")) for one level of a target
    v.count, v.mean, v.variance(ddof=0), v.cube, v.fourth, v.least, v.most           (k,)
    v.n, v.means, v.spreads, v.comoment, v.covariance(ddof=0), v.correlation()       (k, k), of a pair's common rows
    v.where(i, j, level)                             # n, mean, variance of column i where binary j is 1, or 0
    v.products(), v.squared_products(i, j)           # sums of x*y; of (x*y)**2 as ``Plan(products=True)`` keeps them
    v.sketch(i).quantile(shares), .below(points)     # as ``Plan(sketches=True)`` keeps them

Modules: ``schema`` (attributes, columns), ``batch`` (rows in memory), ``gather`` and ``products`` (rows to moments),
``moments`` and ``alignment`` (how they add up), ``sketch``, ``distinct``, ``summary`` (these together, of one set of
rows), ``statistics`` (the value), ``narrowing`` (keeping less), ``view`` (reading), ``codec``, ``wire_header`` and
``soundness`` (bytes).
docs/explanation/statistics.md has the reasons.
"""

from foedus.core.statistics.batch import Batch, Codes, Column, Table
from foedus.core.statistics.codec import MEDIA_TYPE, decode, encode
from foedus.core.statistics.distinct import Patients
from foedus.core.statistics.narrowing import common_plan, narrowed
from foedus.core.statistics.products import PROCESSOR, Arithmetic
from foedus.core.statistics.schema import Attribute, Kind, Schema
from foedus.core.statistics.sketch import Sketch
from foedus.core.statistics.statistics import Level, Plan, Statistics, merge_all
from foedus.core.statistics.view import Group, View

__all__ = [
    "MEDIA_TYPE",
    "PROCESSOR",
    "Arithmetic",
    "Attribute",
    "Batch",
    "Codes",
    "Column",
    "Group",
    "Kind",
    "Level",
    "Patients",
    "Plan",
    "Schema",
    "Sketch",
    "Statistics",
    "Table",
    "View",
    "common_plan",
    "decode",
    "encode",
    "merge_all",
    "narrowed",
]
