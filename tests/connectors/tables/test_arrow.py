import gzip
import os
import subprocess
import sys
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest
from distributed import LocalCluster
from pyarrow import csv, ipc, parquet

from foedus.connectors.tables.arrow import Roles, learn_files, learn_table, locally, on_dask
from foedus.core.errors import Conflict, Invalid, NotFound
from foedus.core.statistics import Kind, Plan, encode

PLAN = Plan(sketches=True, targets=("smoker",))
ROLES = Roles(kinds={"smoker": Kind.BINARY}, ignored=("visited",), patient="id", key=b"a key of 16 bytes")


def visits(n, seed=0):
    rng = np.random.default_rng(seed)
    gap = rng.random(n) < 0.1
    return pa.table(
        {
            "age": pa.array(rng.integers(18, 90, n), mask=gap),
            "bmi": pa.array(rng.normal(25, 4, n)),
            "smoker": pa.array(rng.integers(0, 2, n), mask=rng.random(n) < 0.2),
            "town": pa.array(rng.choice(["Ulm", " ulm", "Bonn", ""], n)),
            "id": pa.array([f"p{k % 40}" for k in range(n)]),
            "visited": pa.array(np.arange(n).astype("datetime64[D]")),
        }
    )


def written(folder, table, name):
    path = folder / name
    if name.endswith(".parquet"):
        parquet.write_table(table, path, row_group_size=70)
    elif name.endswith(".arrow"):
        with ipc.new_file(path, table.schema) as writer:
            writer.write_table(table, max_chunksize=1000)
    else:
        plain = folder / "plain"
        csv.write_csv(table, plain)
        path.write_bytes(gzip.compress(plain.read_bytes()) if name.endswith(".gz") else plain.read_bytes())
        plain.unlink()
    return path


def test_decimals_are_numbers():
    prices = pa.table({"price": pa.array([Decimal("1.25"), None, Decimal("2.75")], pa.decimal128(9, 2))})

    statistics = learn_table(prices, Plan(), Roles())

    assert (statistics.columns, statistics.view().mean.tolist()) == (("price",), [2.0])


def test_a_table_becomes_what_its_columns_say():
    statistics = learn_table(visits(300), PLAN, ROLES)

    v = statistics.view()
    assert statistics.columns == ("age", "bmi", "smoker", "town$bonn", "town$ulm")
    assert v.mean[1] == pytest.approx(np.mean(visits(300)["bmi"].to_numpy()))
    assert v.count[0] == 300 - visits(300)["age"].null_count
    assert v.mean[4] * v.count[4] == sum(town.strip() in ("Ulm", "ulm") for town in visits(300)["town"].to_pylist())
    assert statistics.patients.estimate() == 40
    assert {level for _, level in statistics.parts} == {"0", "1"}


@pytest.mark.parametrize("name", ["a.parquet", "a.csv", "a.csv.gz", "a.arrow"])
def test_every_kind_of_file_holds_the_same_rows(tmp_path, name):
    path = written(tmp_path, visits(200), name)

    statistics = learn_files([path], PLAN, ROLES)

    assert encode(statistics) == encode(learn_table(visits(200), PLAN, ROLES))


def test_a_folder_is_learned_in_the_order_of_paths_whatever_the_threads(tmp_path):
    for k, name in enumerate(["b.parquet", "a.csv", "deep.arrow", "notes.txt"]):
        if name.endswith(".txt"):
            (tmp_path / name).write_text("not rows")
        else:
            written(tmp_path, visits(100, k), name)

    one, two = (encode(learn_files([tmp_path], PLAN, ROLES, engine=locally(threads))) for threads in (1, 2))

    assert one == two
    assert learn_files([tmp_path], PLAN, ROLES).rows == 300


@pytest.mark.parametrize("processes", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_a_dask_cluster_gives_the_same_bytes(tmp_path, processes):
    for k in range(3):
        written(tmp_path, visits(100, k), f"{k}.parquet")

    with LocalCluster(n_workers=2, processes=processes, protocol="tcp", dashboard_address=None) as cluster:
        there = learn_files([tmp_path], PLAN, ROLES, engine=on_dask(cluster.scheduler_address))

    assert encode(there) == encode(learn_files([tmp_path], PLAN, ROLES))


def test_numbers_in_csv_may_get_fractions_late(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("x\n" + "1\n" * 5 + "2.5\n")

    assert learn_files([path], Plan(), Roles()).view().most[0] == 2.5


@pytest.mark.parametrize(
    ("name", "content", "text"),
    [
        ("a.parquet", b"PAR1 and nothing else", "a.parquet cannot be read"),
        ("a.csv", b"x,y\n1,2\n3\n", "a.csv cannot be read"),
        ("a.csv", b"x\nhello\n", "a.csv cannot be read: .*hello"),
        ("a.csv.gz", b"not gzip", "cannot be read"),
        ("a.arrow", b"", "cannot be read"),
        ("a.xlsx", b"", "its name ends in none of"),
    ],
)
def test_files_that_are_not_what_they_say_are_refused_by_name(tmp_path, name, content, text):
    (tmp_path / name).write_bytes(content)

    with pytest.raises(Invalid, match=text):
        learn_files([tmp_path / name], Plan(), Roles(kinds={"x": Kind.CONTINUOUS}))


def test_what_cannot_be_learned_is_refused(tmp_path):
    dates = pa.table({"when": pa.array([1], pa.date32())})
    written(tmp_path, pa.table({"a": [1.5]}), "1.parquet")
    written(tmp_path, pa.table({"a": ["x"]}), "2.parquet")

    with pytest.raises(Invalid, match="ignore it"):
        learn_table(dates, Plan(), Roles())
    with pytest.raises(Conflict, match="continuous here and category there"):
        learn_files([tmp_path], Plan(), Roles())
    with pytest.raises(NotFound):
        learn_files([tmp_path / "nowhere"], Plan(), Roles())


@pytest.mark.slow
def test_memory_does_not_grow_with_a_folder(tmp_path):
    """A folder of 10 files needs no more than one of 2: about 13 MB of values each, in another process."""
    table = pa.table({f"x{k}": np.random.default_rng(k).normal(size=80_000) for k in range(20)})
    for size in (2, 10):
        folder = tmp_path / str(size)
        folder.mkdir()
        first = written(folder, table, "0.parquet")
        for k in range(1, size):
            os.link(first, folder / f"{k}.parquet")

    few, many = (_peak_bytes(tmp_path / str(size)) for size in (2, 10))

    assert many < few + (30 << 20)  # the other 8 files hold 100 MB


def _peak_bytes(folder):
    program = (
        "import resource, sys; from foedus.connectors.tables.arrow import *; from foedus.core.statistics import Plan;"
        "assert learn_files([sys.argv[1]], Plan(), Roles()).rows;"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)"
    )
    done = subprocess.run([sys.executable, "-c", program, folder], check=True, capture_output=True, text=True)
    return int(done.stdout)


def test_truth_values_are_no_amounts():
    truths = pa.table({"x": pa.array([True, None, False])})

    with pytest.raises(Invalid, match="no amounts"):
        learn_table(truths, Plan(), Roles(kinds={"x": Kind.CONTINUOUS}))
