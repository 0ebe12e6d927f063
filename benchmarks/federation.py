"""How soon all nodes of a federation answer from what one of them learned, and what it sends for it.

``python benchmarks/run.py federation [-- TRANSPORT NODES ATTRIBUTES]``: ``nats`` or ``aws`` (moto, over HTTP); 2 nodes
and 20 attributes unless told. Servers are processes of their own. One node learns arrays, each time half of its columns
only; printed are the milliseconds from the acknowledgement of each until the last other node's answers have the rows
(asked every 10 ms or so), and the bytes of its sync and of the deltas that follow. What learning takes does not count.
The processor's time is that of all of a server's processes from the acknowledgement until a second after all answered,
with what the asking takes: of the node that learned, and of the others on average. Peaks are those of one process.
"""

import contextlib
import re
import socket
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx
import numpy as np
import psutil
from benchmarks.fusion import nats_server
from benchmarks.machine import described

from foedus.sdk import Site

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "examples" / "federation"))
from sites import CID, federate, started

LEARNS = 5
WITHIN_S = 150
SENT = re.compile(r"([\d,]+) bytes instead of ([\d,]+)")
REGION = "eu-west-1"


def main(words):
    transport, nodes, attributes = [*words, *("nats", "2", "20")[len(words) :]]
    nodes, attributes = int(nodes), int(attributes)
    print(described())
    with TRANSPORTS[transport]() as told, TemporaryDirectory() as folder, started(Path(folder), nodes) as sites:
        members = federate(told, sites)
        learns = LEARNS if attributes < 1000 else 2
        took, spent = measured(sites, attributes, learns, np.random.default_rng(0))
        peaks = [max(map(peak, processes)) for processes in map(processes_of, sites)]
        sizes = [found.groups() for line in members[0].syncs() if (found := SENT.search(line))]
        members[0].leave()  # its stream, or its topic, goes
    print(f"{transport}, {nodes} nodes, {attributes} attributes: until all others answer, in milliseconds:")
    print("  all columns, first", f"{took[0]:.0f}", "| half of them", *(f"{each:.0f}" for each in took[1:]))
    print("  processor, in seconds:", *(f"{first:.2f} and {other:.2f}" for first, other in spent))
    print(f"  largest process, MiB: {peaks[0] >> 20} and {max(peaks[1:]) >> 20}")
    for delta, whole in sizes[:1]:
        print(f"  {delta} bytes sent instead of {whole} ({len(sizes)} deltas)")


def measured(sites, attributes, learns, rng):
    took, spent, rows = [], [], attributes + 20
    with Site(sites[0].url, sites[0].token, customer=CID, project="rows") as site:
        for number in range(learns + 1):
            columns = attributes if number == 0 else max(1, attributes // 2)
            site.learn({f"x{k:04}": rng.normal(50, 9, rows) for k in range(columns)})
            before = [processor_s(site) for site in sites]
            took.append(1000 * waited(sites[1:], rows * (number + 1)))
            time.sleep(1.0)
            first, *others = [processor_s(site) - then for site, then in zip(sites, before, strict=True)]
            spent.append((first, sum(others) / len(others)))
            if number == 0:
                beats(sites)
    return took, spent


def processes_of(site):
    """Of the server: those that this process started and that serve the site's port."""
    port = site.url.rpartition(":")[2]
    for process in psutil.Process().children():
        if port in process.cmdline():
            return [process, *process.children(recursive=True)]
    raise LookupError(site.url)


def processor_s(site):
    return sum(times.user + times.system for times in (each.cpu_times() for each in processes_of(site)))


def peak(process):
    """Bytes of memory that a process had at most, where the system tells."""
    status = Path(f"/proc/{process.pid}/status")
    found = re.search(r"VmHWM:\s+(\d+) kB", status.read_text()) if status.exists() else None
    return int(found[1]) << 10 if found else process.memory_info().rss


def waited(sites, rows):
    begun = time.perf_counter()
    for site in sites:
        while site.rows("rows") < rows:
            if time.perf_counter() - begun > WITHIN_S:
                sys.exit(f"not all nodes have {rows} rows within {WITHIN_S} s")
            time.sleep(0.01)
    return time.perf_counter() - begun


def beats(sites):
    """Until the first node heard from all others that they take deltas: with the first beat of each."""
    time.sleep(2.0 + 0.2 * len(sites))


@contextlib.contextmanager
def over_nats():
    with nats_server() as url:
        yield {"nats_hosts": url}


@contextlib.contextmanager
def over_aws():
    with socket.create_server(("127.0.0.1", 0)) as free:
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    command = [sys.executable, "-m", "moto.server", "-p", url.rpartition(":")[2]]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        while not _there(url):
            time.sleep(0.1)
        body = (
            f"<CreateBucketConfiguration><LocationConstraint>{REGION}</LocationConstraint></CreateBucketConfiguration>"
        )
        signed = {"Authorization": f"AWS4-HMAC-SHA256 Credential=test/20300101/{REGION}/s3/aws4_request"}
        httpx.put(f"{url}/shared-by-all", content=body, headers=signed).raise_for_status()
        yield {"aws_access_key": "test", "aws_secret_key": "test", "aws_region": REGION, "s3_bucket": "shared-by-all",
               "aws_endpoint": url, "aws_id": "123456789012"}  # fmt: skip
    finally:
        process.terminate()
        process.wait()


def _there(url):
    try:
        return httpx.get(f"{url}/moto-api/").is_success
    except httpx.HTTPError:
        return False


TRANSPORTS = {"nats": over_nats, "aws": over_aws}

if __name__ == "__main__":
    main(sys.argv[1:])
