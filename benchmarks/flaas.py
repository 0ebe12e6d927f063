"""What a fleet costs: whole studies, one round at full size, reports of a thousand phones, a tick over very many.

    python benchmarks/flaas.py [studies] [full] [reports] [tick] [--devices 100] [--rounds 20] [--scale 1.0]

Without a name all four run. ``--scale`` shrinks the last two, for a quick look. Figures are of this machine alone.
"""

import argparse
import json
import os
import platform
import random
import resource
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median

import jwt

from foedus.core.codecs import raw
from foedus.core.fleet.layouts import fleet_model
from foedus.core.fleet.modes import DatasetType, TrainingMode
from foedus.core.fleet.performance import PHONE, write_performance
from foedus.core.threads import ONE_THREAD
from foedus.simulation.demo.processes import Processes

SMALL = "CIFAR10_S"
PHONES, PROJECTS, REGISTERED = 1000, 1000, 100_000
CALLERS = 16  # at a time; each waits for its answer


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("parts", nargs="*", help=f"Some of {', '.join(PARTS)}; all without")
    parser.add_argument("--devices", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--scale", type=float, default=1.0)
    options = parser.parse_args()
    os.environ.update(ONE_THREAD)
    print(f"{platform.platform()}, Python {platform.python_version()}, {os.cpu_count()} processors, "
          f"load {os.getloadavg()[0]:.1f}", flush=True)  # fmt: skip
    for part in options.parts or PARTS:
        if len(options.parts) == 1:
            PARTS[part](options)
            continue
        # Each in a process of its own: Django is set up for one data folder.
        arguments = ["--devices", options.devices, "--rounds", options.rounds, "--scale", options.scale]
        subprocess.run([sys.executable, __file__, part, *map(str, arguments)], check=True)


def studies(options) -> None:
    """All modes and splits with the small model."""
    print(f"\n{options.devices} phones, {options.rounds} rounds, {SMALL}")
    print(f"{'mode':<15}{'split':<8}{'accuracy':>9}{'rounds s':>10}{'server s/round: median':>24}{'longest':>9}"
          f"{'MB up':>8}{'MB down':>9}{'refused':>9}")  # fmt: skip
    for mode in TrainingMode:
        for split in DatasetType:
            study(mode, split, "--devices", options.devices, "--rounds", options.rounds)


def full(_) -> None:
    """One round of what real phones train."""
    print("\n3 phones, 1 round, CIFAR10_B20 (features of a stand-in)")
    study(TrainingMode.BASELINE, DatasetType.IID, "--devices", 3, "--rounds", 1, "--model", "CIFAR10_B20")


def study(mode, split, *arguments) -> None:
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "foedus", "simulate", "flaas", "--json", "--output", folder]
        chosen = ["--mode", mode, "--split", split, *map(str, arguments)]
        done = subprocess.run([*command, *chosen], check=True, stdout=subprocess.PIPE, text=True)
        report = json.loads(done.stdout.splitlines()[-1])
    waits = [each["server_s"] for each in report["rounds"] if each["server_s"] is not None]
    calls = report["calls"].values()
    up, down = (sum(call[way] for call in calls) / 1e6 for way in ("sent_bytes", "received_bytes"))
    refused = sum(call["refused"] for name, call in report["calls"].items() if name != "get-samples")
    print(f"{mode:<15}{split:<8}{report['accuracy']:>9.1%}{report['rounds_s']:>10.1f}{median(waits):>24.2f}"
          f"{max(waits):>9.2f}{up:>8.1f}{down:>9.1f}{refused:>9}", flush=True)  # fmt: skip


def reports(options) -> None:
    """A thousand phones of one project, all at once: pings, then everything that a round asks of them."""
    count = max(10, int(PHONES * options.scale))
    with ExitStack() as stack:
        data = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        processes = stack.enter_context(Processes(data))
        command = ["-m", "foedus", "serve", "--port", "0", "--data", str(data), "--until-eof"]
        url = processes.ready_url(processes.start("server", command, output=subprocess.PIPE), 60.0)
        backstage = stack.enter_context(connected(data))
        from foedus.simulation.flaas.api import FlaasApi, open_client
        from foedus.simulation.flaas.meter import Meter

        devices = registered(count, "phone-")
        fields = {"title": "Load", "dataset_type": "IID", "training_mode": "BASELINE"}
        project = backstage.create_project(fleet_model(SMALL), responses_ratio_threshold="1.00", **fields)
        meter = Meter()
        client = stack.enter_context(open_client(url))
        phones = []
        for device, token in zip(devices, access_tokens(devices), strict=True):
            api = FlaasApi(client, meter)
            api.use_tokens(token, "")
            phones.append((api, hardware(device.pk)))
        print(f"\n{count} phones, {CALLERS} at a time")
        everybody(meter, "first ping", phones, lambda api, info: api.report_availability(ping(info)))
        everybody(meter, "next ping", phones, lambda api, info: api.report_availability(ping(info)))
        backstage.start(project)
        request = wait_for_round(project.id)
        model = raw.encode(fleet_model(SMALL).start())
        results = write_performance(TrainingMode.BASELINE, losses={PHONE: [1.0]}, numbers={})
        everybody(meter, "join-round", phones, lambda api, _: api.join_round(project.id, 0))
        everybody(meter, "get-model", phones, lambda api, _: api.get_model(project.id, 0))
        everybody(meter, "submit-model", phones, lambda api, _: api.submit_model(project.id, 0, model))
        everybody(meter, "submit-results", phones, lambda api, _: api.submit_results(project.id, 0, results))
        done = {"request_type": "device-train", "request_id": request}
        everybody(meter, "train report", phones, lambda api, info: api.report_availability(body(done, info)))


def everybody(meter, name, phones, call) -> None:
    before = {kind: len(calls.seconds) for kind, calls in meter.calls().items()}
    started = time.monotonic()
    with ThreadPoolExecutor(CALLERS) as pool:
        list(pool.map(lambda phone: call(*phone), phones))
    seconds = time.monotonic() - started
    taken = sorted(second for kind, calls in meter.calls().items() for second in calls.seconds[before.get(kind, 0) :])
    p99 = taken[min(len(taken) - 1, int(0.99 * len(taken)))]
    print(f"{name:<16}{len(phones) / seconds:>8.0f} a second, median {1000 * median(taken):>6.1f} ms,"
          f" p99 {1000 * p99:>6.1f} ms", flush=True)  # fmt: skip


def tick(options) -> None:
    """A clock's work over very many devices and projects that wait for them."""
    n_projects, n_devices = (max(2, int(count * options.scale)) for count in (PROJECTS, REGISTERED))
    with ExitStack() as stack:
        data = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        os.environ["FOEDUS_DATA"] = str(data)
        from foedus.server.start import prepare

        prepare()
        backstage = stack.enter_context(connected(data))
        from foedus import bootstrap
        from foedus.services.fleet import tick as fleet_tick
        from foedus.services.fleet.options import FleetOptions
        from foedus.services.learning import clock

        ports = bootstrap.ports()
        assigned(backstage, n_projects, registered(n_devices, "device-"))
        print(f"\n{n_devices} devices in {n_projects} running projects, each waiting for more of its devices")
        for name, run in (
            ("the clock's tick", lambda now: clock.tick(ports, now=now)),
            ("manage tick", lambda now: fleet_tick.tick(ports, FleetOptions(), now=now)),
        ):
            before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            seconds = []
            for minutes in (0, 1, 2):
                started = time.monotonic()
                run(datetime.now(UTC) + timedelta(minutes=minutes))
                seconds.append(time.monotonic() - started)
            grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
            print(
                f"{name:<17} {', '.join(f'{each:.2f}' for each in seconds)} s, {grown:.0f} MB more memory", flush=True
            )


def assigned(backstage, n_projects, devices) -> None:
    """Projects with an equal share of the devices, half of which have just reported that they could train."""
    from foedus.records.fleet.models import Device
    from foedus.records.learning.models import Membership

    now = datetime.now(UTC)
    Device.objects.filter(pk__in=range(0, 2 * len(devices), 2)).update(reported_at=now, power_plugged=True)
    share = max(1, len(devices) // n_projects)
    for number in range(n_projects):
        fields = {"title": f"Project {number}", "dataset_type": "IID", "training_mode": "BASELINE"}
        project = backstage.create_project(fleet_model(SMALL), assign=False, **fields)
        members = [
            Membership(
                project_id=project.id, participant_id=device.participant_id, joined_at=now,
                seen_at=now if place % 2 else None,
            )
            for place, device in enumerate(devices[number * share : (number + 1) * share])
        ]  # fmt: skip
        Membership.objects.bulk_create(members)
        backstage.start(project)


def registered(count, prefix):
    """Devices whose owners never log in: a password costs a third of a second."""
    from foedus.records.accounts.models import Participant, User
    from foedus.records.fleet.models import Device
    from foedus.services.fleet.accounts import default_organisation

    now = datetime.now(UTC)
    owner = default_organisation(now)
    names = [f"{prefix}{number}" for number in range(count)]
    users = User.objects.bulk_create([User(username=name, password="!") for name in names], batch_size=2000)
    participants = Participant.objects.bulk_create(
        [Participant(organisation=owner, name=name, created_at=now) for name in names], batch_size=2000
    )
    pairs = zip(users, participants, strict=True)
    return Device.objects.bulk_create([Device(user=u, participant=p) for u, p in pairs], batch_size=2000)


def access_tokens(devices) -> list[str]:
    """As a login gives them out."""
    from foedus import bootstrap
    from foedus.services.fleet.tokens import ACCESS_S, KEY_NAME

    key, issued_at = bootstrap.secret(KEY_NAME).reveal(), int(time.time())
    claims = {"token_type": "access", "iat": issued_at, "exp": issued_at + ACCESS_S}
    return [
        jwt.encode({**claims, "jti": f"{device.pk:064x}", "user_id": device.user_id}, key, "HS256")
        for device in devices
    ]


def hardware(seed):
    from foedus.simulation.flaas.hardware import Hardware

    return Hardware.drawn(random.Random(seed))


def ping(info) -> bytes:
    return body({"request_type": "device-ping"}, info)


def body(fields, info) -> bytes:
    return json.dumps({**fields, "device_info": info.info(int(time.time() * 1000))}).encode()


def wait_for_round(project) -> int:
    """The request that phones report to, once they are invited."""
    from foedus.records.learning.models import Invitation, Round

    while not Invitation.objects.filter(round__project=project).exists():
        time.sleep(0.05)
    return Round.objects.get(project=project).pk


@contextmanager
def connected(data):
    from foedus.cli.simulate import connect

    with connect(data) as backstage:
        yield backstage


PARTS = {"studies": studies, "full": full, "reports": reports, "tick": tick}

if __name__ == "__main__":
    main()
