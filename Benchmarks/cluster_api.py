"""A cluster's API for benchmarks: no program is started for a call, so that times are the cluster's own."""
import base64
import http.client
import json
import ssl
import threading
import time
import urllib.error
import urllib.request

from aws_setup import client

#: A token is good for 15 minutes.
TOKEN_SECONDS = 600


class API:
    """Calls as the administrator of a cluster."""

    def __init__(self, service, cluster):
        self.service, self.cluster = service, cluster
        found = client(service, "eks").describe_cluster(name=cluster)["cluster"]
        self.endpoint = found["endpoint"]
        self.context = ssl.create_default_context(cadata=base64.b64decode(found["certificateAuthority"]["data"]).decode())
        self.token, self.token_made = None, 0.0

    def bearer(self):
        if self.token is None or time.monotonic() - self.token_made > TOKEN_SECONDS:
            self.token = json.loads(self.service.aws_token(self.cluster))["status"]["token"]
            self.token_made = time.monotonic()
        return self.token

    def open(self, path, method="GET", body=None, timeout=30.0):
        headers = {"Authorization": f"Bearer {self.bearer()}", "Content-Type": "application/json", "Accept": "application/json"}
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.endpoint + path, data=data, headers=headers, method=method)
        return urllib.request.urlopen(request, context=self.context, timeout=timeout)

    def get(self, path):
        with self.open(path) as answer:
            return json.load(answer)

    def create(self, path, body):
        with self.open(path, "POST", body) as answer:
            return json.load(answer)

    def delete(self, path, grace=None):
        """Deletes; what is not there is no error."""
        options = {"apiVersion": "v1", "kind": "DeleteOptions"} | ({} if grace is None else {"gracePeriodSeconds": grace})
        try:
            self.open(path, "DELETE", options).close()
        except urllib.error.HTTPError as error:
            if error.code != 404:
                raise

    def pods(self, selector=""):
        return self.get(f"/api/v1/namespaces/default/pods?labelSelector={selector}")["items"]

    def pod(self, name):
        """A pod; None when there is none."""
        try:
            return self.get(f"/api/v1/namespaces/default/pods/{name}")
        except urllib.error.HTTPError as error:
            if error.code != 404:
                raise
            return None

    def nodes(self):
        return self.get("/api/v1/nodes")["items"]


class Watch:
    """The events of a watch with the time of their arrival, which a thread of its own takes."""

    def __init__(self, api, path, seconds=3600):
        self.lines = []
        self.parsed = []
        self.stream = api.open(f"{path}{'&' if '?' in path else '?'}watch=true&timeoutSeconds={seconds}", timeout=seconds)
        self.thread = threading.Thread(target=self.read, daemon=True)
        self.thread.start()

    def read(self):
        try:
            while line := self.stream.readline():
                self.lines.append((time.time_ns(), line))
        except (OSError, ValueError, http.client.HTTPException):
            pass  # It ended.

    def events(self):
        """(nanoseconds since 1970, type, object) so far."""
        for at, line in self.lines[len(self.parsed):]:
            event = json.loads(line)
            self.parsed.append((at, event["type"], event["object"]))
        return self.parsed


def condition(item, kind):
    """The status of a condition of an object; None when it has none."""
    return next((c["status"] for c in item["status"].get("conditions", []) if c["type"] == kind), None)


def containers(pods):
    """Pod name to its container's (id, restarts, start); pods without a running container are left out."""
    found = {}
    for pod in pods:
        for status in pod["status"].get("containerStatuses", []):
            if "running" in status.get("state", {}):
                found[pod["metadata"]["name"]] = (status["containerID"], status["restartCount"], status["state"]["running"]["startedAt"])
    return found


def settled(pods, count):
    """Whether there are so many pods, all Ready, and none on its way out."""
    return len(pods) == count and all(condition(pod, "Ready") == "True" and "deletionTimestamp" not in pod["metadata"] for pod in pods)


def disturbed(before, after, except_for=()):
    """Names of containers of `before` that are gone or were restarted."""
    return sorted(name for name, container in before.items() if name not in except_for and after.get(name) != container)


def running_since(events):
    """When each container was first seen running by a watch: container id to nanoseconds."""
    found = {}
    for at, _, pod in events:
        for status in pod.get("status", {}).get("containerStatuses", []):
            if "running" in status.get("state", {}):
                found.setdefault(status["containerID"].split("://")[-1], at)
    return found


def deployment(name, replicas, **container):
    """A Deployment of small pods."""
    return {
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name, "namespace": "default"},
        "spec": {"replicas": replicas, "selector": {"matchLabels": {"app": name}}, "template": {
            "metadata": {"labels": {"app": name}}, "spec": pod_spec(**container)}}}


def pod(name, labels=None, spec=None, **container):
    return {
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": "default", "labels": labels or {"app": name}},
        "spec": pod_spec(**container) | (spec or {})}


def pod_spec(**container):
    return {
        # With 0 the API would not wait for the node's word that a pod has ended.
        "terminationGracePeriodSeconds": 1,
        "containers": [{"name": "main", "image": "nginx:1.15", "command": ["sleep", "100000"]} | container]}


DEPLOYMENTS = "/apis/apps/v1/namespaces/default/deployments"
PODS = "/api/v1/namespaces/default/pods"
