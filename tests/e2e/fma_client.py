"""Run by the interpreter that has the published client: two clients do what their developer expects of them.

fma_client.py URL MODEL PUBLISH     PUBLISH: a file that appears once the aggregate is published
"""

import json
import sys
import time
from pathlib import Path

from fma_connect import WebClient
from fma_connect.exceptions import APIException


def until(call, seconds=30):
    """What the call gives once it gives something, and how long that took."""
    began = time.monotonic()
    while (found := call()) is None and time.monotonic() - began < seconds:
        time.sleep(0.02)
    return found, time.monotonic() - began


def say(value):
    sys.stdout.write(json.dumps(value) + "\n")
    sys.stdout.flush()


def main(url, model, published):
    a, b = WebClient(model, url=url), WebClient(model, url=url)
    said = {"uuids": [a.register(), b.register()], "again": a.register()}
    said["nothing yet"] = a.check_for_new_model_aggregate()
    said["artifact"] = a.get_current_artifact()
    said["initial"] = [client.check_for_latest_model() for client in (a, b)]
    try:
        a.send_update([[1], [3]])
    except APIException as exc:
        said["refused"] = str(exc)
    said["sent"] = [a.send_update([[1, 2], [3]]), b.send_update([[3, 4], [4]])]
    aggregate, said["seconds"] = until(a.check_for_new_model_aggregate)
    said["aggregate"] = aggregate
    said["unchanged"] = a.check_for_new_model_aggregate()
    said["mean"] = b.check_for_latest_model()
    said["scores"] = [client.send_val_results({"f1": f1}, aggregate["id"]) for client, f1 in ((a, 0.5), (b, 1.0))]
    said["based"] = a.send_update([[5, 6], [7]], base_aggregate=aggregate["id"])
    say(said)
    until(lambda: Path(published).exists() or None)
    say({"published": a.get_current_artifact()})


main(sys.argv[1], int(sys.argv[2]), sys.argv[3])
