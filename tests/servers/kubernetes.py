"""The part of a Kubernetes API server that runs Jobs, over HTTP: objects, watches, logs, and pods that really run.

What is created is checked against the published schemas of Kubernetes first, unknown fields included. Pods are begun
as their manifests say, with the mounts that they ask for; evictions, lost objects and busy answers are made by tests.
"""

import json
import re
import threading
import time
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

import kubernetes_validate
from tests.servers.contained import Contained, Mount

_PATH = re.compile(r"/(?:api|apis/[a-z0-9.]+)/v1/namespaces/[a-z0-9-]+/([a-z]+)(?:/([a-z0-9.-]+))?(?:/(status|log))?")
_SCHEMAS = "1.33"


class Cluster:
    """What the server has. ``busy`` are answers that the next requests get instead, as (status, headers)."""

    def __init__(self, folder, claims):
        self.folder, self.claims = folder, claims
        self.objects = {kind: {} for kind in ("jobs", "pods", "secrets", "networkpolicies")}
        self.busy, self.asked, self.begun, self.running = [], [], [], {}
        self.changed = threading.Condition()
        self.version = 0

    def create(self, kind, found):
        """Status and body."""
        name = found["metadata"]["name"]
        try:
            kubernetes_validate.validate(found, _SCHEMAS, strict=True)
        except kubernetes_validate.ValidationError as exc:
            return 422, _failure(422, f"{name} is invalid: {exc}")
        with self.changed:
            if name in self.objects[kind]:
                return 409, _failure(409, f'{kind} "{name}" already exists')
            self._put(kind, name, {**found, "status": {}})
            if kind == "jobs":
                self._pod(found)
            return 201, found

    def delete(self, kind, name):
        with self.changed:
            if self.objects[kind].pop(name, None) is None:
                return 404, _failure(404, f'{kind} "{name}" not found')
            if kind == "pods":
                self._killed(name)
            if kind == "jobs":
                for pod in [pod for pod in self.objects["pods"] if pod.startswith(f"{name}-")]:
                    self.delete("pods", pod)
            self.changed.notify_all()
            return 200, {"kind": "Status", "apiVersion": "v1", "status": "Success"}

    def lose(self, job):
        self.delete("jobs", job)

    def left(self):
        return [name for kind in self.objects.values() for name in kind]

    def evict(self, job):
        """The cluster takes the newest pod of a Job away, as it does from a node that is full."""
        with self.changed:
            name, pod = [(n, p) for n, p in self.objects["pods"].items() if n.startswith(f"{job}-")][-1]
            for container in self.running.pop(name, ()):
                container.kill()
            pod["status"].update(
                phase="Failed", reason="Evicted", message="The node was low on resource: memory.",
                conditions=[{"type": "DisruptionTarget", "status": "True", "reason": "TerminationByKubelet"}],
                containerStatuses=[],
            )  # fmt: skip
            spec = self.objects["jobs"][job]["spec"]
            rules = spec.get("podFailurePolicy", {}).get("rules", [])
            if any(each["type"] == "DisruptionTarget" for rule in rules for each in rule.get("onPodConditions", ())):
                self._pod(self.objects["jobs"][job])
            else:
                self._end(job, "Failed", "BackoffLimitExceeded")

    def read(self, kind, name, selector):
        """An object by its name, or those that have the labels."""
        with self.changed:
            if name:
                found = self.objects[kind].get(name)
                return (200, found) if found else (404, _failure(404, f'{kind} "{name}" not found'))
            wanted = dict(pair.split("=") for pair in (selector or "").split(",") if pair)
            items = [o for o in self.objects[kind].values() if wanted.items() <= o["metadata"]["labels"].items()]
            return 200, {"kind": "List", "apiVersion": "v1", "metadata": {}, "items": items}

    def log(self, pod, container):
        path = self.folder / f"{pod}-{container}.log"
        return (200, path.read_bytes()) if path.exists() else (400, _failure(400, "it is waiting to start"))

    def close(self):
        with self.changed:
            for name in list(self.running):
                self._killed(name)

    def _put(self, kind, name, found):
        self.version += 1
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        found["metadata"] = {"uid": uuid4().hex, "creationTimestamp": now, **found["metadata"]}
        found["metadata"]["resourceVersion"] = str(self.version)
        self.objects[kind][name] = found
        self.changed.notify_all()

    def _pod(self, job):
        name = f"{job['metadata']['name']}-{self.version:05d}"
        template = job["spec"]["template"]
        pod = {"apiVersion": "v1", "kind": "Pod", "spec": template["spec"], "status": {"phase": "Pending"}}
        pod["metadata"] = {"name": name, "namespace": job["metadata"]["namespace"], **template["metadata"]}
        self._put("pods", name, pod)
        image = template["spec"]["containers"][0]["image"]
        if "no-such" in image:
            pod["status"]["containerStatuses"] = [
                _status("program", image, waiting={"reason": "ImagePullBackOff", "message": f"no image {image}"})
            ]
            return
        threading.Thread(target=self._kubelet, args=(name, pod), daemon=True).start()

    def _kubelet(self, name, pod):
        """Doors first, then the program, as a node does it."""
        spec = pod["spec"]
        started = []
        with self.changed:
            self.begun.append(pod["metadata"]["labels"]["foedus.run"])
            if name not in self.objects["pods"]:
                return
            self.running[name] = started
            for container in [*spec.get("initContainers", []), *spec["containers"]]:
                started.append(self._container(name, spec, container))
                self._await_ready(started[-1], container)
            pod["status"].update(phase="Running", containerStatuses=[_status("program", "", running={})])
            self.changed.notify_all()
        program = started[-1]
        program.process.wait()
        with self.changed:
            if self.running.pop(name, None) is None or name not in self.objects["pods"]:
                return
            for other in started[:-1]:
                other.kill()
            pod["status"].update(
                phase="Failed" if program.code else "Succeeded",
                containerStatuses=[_status("program", "", terminated={"exitCode": program.code})],
            )
            job = pod["metadata"]["labels"]["foedus.run"]
            self._end(job, "Failed" if program.code else "Complete", "BackoffLimitExceeded" if program.code else None)

    def _container(self, name, spec, container):
        volumes = {volume["name"]: volume for volume in spec["volumes"]}
        mounts = [self._mount(volumes[m["name"]], m) for m in container["volumeMounts"]]
        env = {each["name"]: _expanded(each["value"]) for each in container.get("env", [])}
        return Contained.begun(
            [_expanded(word) for word in container["command"]], env, container.get("workingDir"),
            [mount for mount in mounts if mount], self.folder / f"{name}-{container['name']}.log",
            user=spec["securityContext"]["runAsUser"], network="initContainers" in spec,
        )  # fmt: skip

    def _mount(self, volume, mount):
        if "persistentVolumeClaim" in volume:
            source = self.claims[volume["persistentVolumeClaim"]["claimName"]] / mount["subPath"]
        elif "secret" in volume:
            source = self.folder / uuid4().hex
            source.mkdir()
            for key, text in self.objects["secrets"][volume["secret"]["secretName"]]["stringData"].items():
                (source / key).write_text(text)
        else:
            return None  # emptyDir: /tmp, which is new in any case
        return Mount(str(source), mount["mountPath"], mount.get("readOnly", False))

    def _await_ready(self, contained, container):
        probe = container.get("startupProbe")
        while probe and contained.code is None:
            tried = Contained.begun(probe["exec"]["command"], {}, None, [], self.folder / "probe", user=1, network=True)
            if tried.process.wait() == 0:
                return
            time.sleep(0.05)

    def _end(self, job, kind, reason):
        found = self.objects["jobs"].get(job)
        if found:
            condition = {"type": kind, "status": "True", **({"reason": reason} if reason else {})}
            found["status"] = {"conditions": [condition]}
            self._put("jobs", job, found)

    def _killed(self, pod):
        for container in self.running.pop(pod, ()):
            container.kill()


def _expanded(text):
    """As a node does it: ``$(NAME)`` is a variable's, ``$$`` one sign."""
    return re.sub(r"\$\$|\$\(([A-Za-z0-9_]+)\)", lambda found: f"expanded-{found[1]}" if found[1] else "$", text)


def _status(name, image, **state):
    return {"name": name, "image": image, "imageID": "", "ready": False, "restartCount": 0, "state": state}


def _failure(code, message):
    return {"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "message": message}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    cluster: Cluster

    def log_message(self, *_):
        pass

    def _any(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        where = urlsplit(self.path)
        self.cluster.asked.append((self.command, where.path))
        query = {key: values[0] for key, values in parse_qs(where.query).items()}
        kind, name, what = _PATH.fullmatch(where.path).groups()
        if self.cluster.busy:
            status, headers = self.cluster.busy.pop(0)
            self._send(status, _failure(status, "too busy"), headers)
        elif query.get("watch"):
            self._watch(query)
        elif self.command == "POST":
            self._send(*self.cluster.create(kind, json.loads(body)))
        elif self.command == "DELETE":
            self._send(*self.cluster.delete(kind, name))
        elif what == "log":
            self._send(*self.cluster.log(name, query["container"]))
        else:
            self._send(*self.cluster.read(kind, name, query.get("labelSelector")))

    do_GET = do_POST = do_DELETE = _any  # noqa: N815 - the names that the base class looks for

    def _watch(self, query):
        """A stream of what changes of one object, from how it stands."""
        name = query["fieldSelector"].partition("=")[2]
        until = time.monotonic() + int(query["timeoutSeconds"])
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        seen, last = None, None
        while time.monotonic() < until:
            with self.cluster.changed:
                found = self.cluster.objects["jobs"].get(name)
                version = found and found["metadata"]["resourceVersion"]
                if version == seen:
                    self.cluster.changed.wait(until - time.monotonic())
                    continue
                kind = "DELETED" if found is None else "ADDED" if seen is None else "MODIFIED"
                line = json.dumps({"type": kind, "object": found or last}).encode() + b"\n"
                seen, last = version, found
            self.wfile.write(b"%x\r\n%s\r\n" % (len(line), line))
        self.wfile.write(b"0\r\n\r\n")

    def _send(self, status, body, headers=()):
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Type", "text/plain" if isinstance(body, bytes) else "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


@contextmanager
def api_server(folder, claims):
    """A cluster, and the path of a kubeconfig that leads to it. ``claims`` are folders by the names of volumes."""
    cluster = Cluster(folder, claims)
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"cluster": cluster}))
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    where = folder / "kubeconfig"
    told = {
        "apiVersion": "v1", "kind": "Config", "current-context": "here",
        "clusters": [{"name": "c", "cluster": {"server": f"http://127.0.0.1:{server.server_address[1]}"}}],
        "users": [{"name": "u", "user": {"token": "a-token"}}],
        "contexts": [{"name": "here", "context": {"cluster": "c", "user": "u"}}],
    }  # fmt: skip
    where.write_text(json.dumps(told))
    try:
        yield cluster, where
    finally:
        cluster.close()
        server.shutdown()
        thread.join()
        server.server_close()
