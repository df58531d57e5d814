"""What an attacker may try on a running service: bombs, floods, other clusters' credentials, a noisy tenant; and what the logs may not tell. See docs/reliability.md."""
import base64
import json
import os
import random
import re
import socket
import ssl
import threading
import time

import pytest
from conftest import Service, clean_up, wait_for
from test_bad_input import CONFIG_MAPS, Cloud, Kubernetes, active, config_map, make_world

# What a refusal may cost: seconds and growth of the service's memory. A debug build is some ten times slower than what is shipped.
IS_RELEASE = os.environ.get("EYRIE_RELEASE") == "1"
REFUSAL_SECONDS = 0.1 if IS_RELEASE else 1.0
# What a body may cost that is as large as bodies may be and not refused for its form: time in proportion to its size.
LARGE_SECONDS = 2.0 if IS_RELEASE else 20.0
GROWTH_BYTES, LARGE_GROWTH_BYTES = (50 << 20 if IS_RELEASE else 100 << 20), 200 << 20
# What others may wait at most meanwhile.
NEIGHBOUR_SECONDS = 0.5 if IS_RELEASE else 5
BODY, DEPTH, OPERATIONS = 3 << 20, 10_000, 10_000
# Parts of an object: as many as fit into a body, or as many as a debug build reads while a test may last. Comparing each with each takes minutes of both.
PARTS = 200_000 if IS_RELEASE else 60_000


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    if os.geteuid() != 0:
        pytest.fail("the service makes networks: run it as root")
    service = Service(tmp_path_factory.mktemp("security"), {})
    service.start()
    try:
        yield service
    finally:
        service.stop()
        clean_up(service)


@pytest.fixture(scope="module")
def cloud(service):
    return Cloud(service)


@pytest.fixture(scope="module")
def clusters(service, cloud):
    """Two clusters without nodes in one service."""
    world = make_world(cloud)
    for name in ("one", "two"):
        cloud.eks.create_cluster(name=name, **world.request)
    for name in ("one", "two"):
        active(cloud, name)
    return [Kubernetes(service, name, cloud) for name in ("one", "two")]


@pytest.fixture(scope="module")
def cluster(clusters):
    return clusters[0]


def resident(service):
    """Bytes of memory the service holds."""
    status = open(f"/proc/{service.process.pid}/status").read()
    return int(re.search(r"VmRSS:\s+(\d+)", status)[1]) << 10


class Neighbour:
    """Another client that asks for a small thing over and over, on its own connection; how long each answer took."""

    def __init__(self, cluster):
        self.cluster, self.seconds, self.statuses, self.over = cluster, [], set(), threading.Event()
        self.thread = threading.Thread(target=self.run)

    def run(self):
        while not self.over.is_set():
            start = time.monotonic()
            self.statuses.add(self.cluster.request("GET", CONFIG_MAPS + "?limit=1").status)
            self.seconds.append(time.monotonic() - start)
            self.over.wait(0.05)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.thread.join()

    @property
    def slowest(self):
        return max(self.seconds)


# Bombs: bodies that are small to send and dear to read.


def members(count, value=b'""'):
    return b",".join(b'"k%d":%s' % (i, value) for i in range(count))


def bombs():
    head = b'{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"bomb"},"data":'
    merge, strategic, patch, apply = (f"application/{name}" for name in ("merge-patch+json", "strategic-merge-patch+json", "json-patch+json", "apply-patch+yaml"))
    pod = "/api/v1/namespaces/default/configmaps/target"
    lines = [b"a0: &a0 [x,x,x,x,x,x,x,x,x,x]"] + [b"a%d: &a%d [%s]" % (i, i, b",".join([b"*a%d" % (i - 1)] * 10)) for i in range(1, 12)]
    merges = [b"m0: &m0 {a: b}"] + [b"m%d: &m%d {<<: [%s]}" % (i, i, b",".join([b"*m%d" % (i - 1)] * 10)) for i in range(1, 12)]
    doubling = [{"op": "add", "path": "/data", "value": {"a": "x" * 1000}}] + [{"op": "copy", "from": "/data", "path": f"/data/k{i}"} for i in range(60)]
    yield "3 MiB and a byte", "POST", CONFIG_MAPS, "application/json", head + b'{"k":"' + b"v" * BODY + b'"}}', {413}
    yield "10,001 levels of JSON arrays", "POST", CONFIG_MAPS, "application/json", head + b"[" * (DEPTH + 1) + b"]" * (DEPTH + 1) + b"}", {400}
    yield "3 MiB of [", "POST", CONFIG_MAPS, "application/json", b"[" * BODY, {400}
    yield "half a million objects in each other", "POST", CONFIG_MAPS, "application/json", b'{"a":' * (BODY // 5), {400}
    yield "10,001 levels of YAML", "POST", CONFIG_MAPS, "application/yaml", b"a: " + b"[" * (DEPTH + 1) + b"]" * (DEPTH + 1), {400}
    yield "10,001 levels of YAML by indentation", "POST", CONFIG_MAPS, "application/yaml", b"\n".join(b" " * i + b"a:" for i in range(2000)), {400}
    yield "YAML aliases of aliases", "POST", CONFIG_MAPS, "application/yaml", b"\n".join(lines), {400}
    yield "YAML merges of merges", "POST", CONFIG_MAPS, "application/yaml", b"\n".join(merges), {400}
    yield "YAML aliases in an apply", "PATCH", CONFIG_MAPS + "/target?fieldManager=x", apply, b"\n".join(lines), {400}
    yield "10,001 operations", "PATCH", pod, patch, json.dumps([{"op": "test", "path": "/kind", "value": "x"}] * (OPERATIONS + 1)).encode(), {413}
    yield "a patch that doubles", "PATCH", pod, patch, json.dumps(doubling).encode(), {422, 400}
    yield "a patch of 10,001 levels", "PATCH", pod, merge, b'{"a":' * (DEPTH + 1) + b"1" + b"}" * (DEPTH + 1), {400}
    yield "a gzip bomb", "POST", CONFIG_MAPS, "application/json", gzip_bomb(), {400}
    yield "protobuf of 10,001 levels", "POST", CONFIG_MAPS, "application/vnd.kubernetes.protobuf", deep_protobuf(), {400}
    yield "protobuf that claims to be long", "POST", CONFIG_MAPS, "application/vnd.kubernetes.protobuf", b"k8s\x00\x0a\xff\xff\xff\xff\x0f", {400}
    yield "very many keys", "POST", CONFIG_MAPS, "application/json", head + b"{" + members(PARTS) + b"}}", {201, 409}
    yield "very many keys, merged", "PATCH", pod, merge, b'{"data":{' + members(PARTS) + b"}}", {200}
    yield "very many keys, removed", "PATCH", pod, merge, b'{"data":{' + members(PARTS, b"null") + b',"x/y":""}}', {422}
    yield "very many keys, merged by type", "PATCH", pod, strategic, b'{"data":{' + members(PARTS) + b"}}", {200}
    yield "very many keys, applied", "PATCH", CONFIG_MAPS + "/target?fieldManager=x&force=true", apply, head.replace(b"bomb", b"target") + b"{" + members(PARTS) + b"}}", {200}
    yield "very many unknown fields", "POST", CONFIG_MAPS, "application/json", head + b"{}," + members(PARTS) + b',"metadata":{"name":"A"}}', {422}
    yield "a number of a million digits", "POST", CONFIG_MAPS, "application/json", head + b"{},\"x\":" + b"9" * 1_000_000 + b',"metadata":{"name":"A"}}', {422, 400}
    yield "a quantity of a million digits", "POST", "/api/v1/namespaces/default/resourcequotas", "application/json", b'{"metadata":{"name":"q"},"spec":{"hard":{"pods":"' + b"9" * 1_000_000 + b'"}}}', {400, 422}
    yield "finalizers without end", "POST", CONFIG_MAPS, "application/json", b'{"metadata":{"name":"A","finalizers":[' + b",".join([b'"a"'] * (3 * PARTS)) + b"]}}", {422}
    yield "owners without end", "POST", CONFIG_MAPS, "application/json", b'{"metadata":{"name":"A","ownerReferences":[' + b",".join([b"{}"] * (2 * PARTS)) + b"]}}", {422}
    yield "containers without end", "POST", "/api/v1/namespaces/default/pods", "application/json", b'{"metadata":{"name":"A"},"spec":{"containers":[' + b",".join([b"{}"] * PARTS) + b"]}}", {422}
    yield "list elements merged by key", "PATCH", "/api/v1/namespaces/default/pods/target", strategic, b'{"spec":{"containers":[' + b",".join(b'{"name":"c%d"}' % i for i in range(PARTS // 2)) + b"]}}", {422}
    yield "list elements applied by key", "PATCH", "/api/v1/namespaces/default/pods/target?fieldManager=x&force=true", apply, b'{"apiVersion":"v1","kind":"Pod","metadata":{"name":"target"},"spec":{"containers":[' + b",".join(b'{"name":"c%d"}' % i for i in range(PARTS // 2)) + b"]}}", {422}
    yield "values merged into a set", "PATCH", pod, strategic, b'{"metadata":{"finalizers":[' + b",".join(b'"f%d"' % i for i in range(PARTS)) + b"]}}", {422}
    yield "a pattern that explodes", "POST", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", "application/json", definition({"type": "string", "pattern": "((((a{100}){100}){100}){100})"}), {422}
    yield "a pattern of a million characters", "POST", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", "application/json", definition({"type": "string", "pattern": "(a|" * 300_000 + ")" * 300_000}), {422}
    yield "a rule that costs too much", "POST", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", "application/json", definition(
        {"type": "array", "items": {"type": "string"}, "x-kubernetes-validations": [{"rule": "self.all(a, self.all(b, self.all(c, self.all(d, a + b != c + d))))"}]}), {422}
    yield "a rule of 100,000 brackets", "POST", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", "application/json", definition(
        {"type": "string", "x-kubernetes-validations": [{"rule": "(" * 100_000 + "true" + ")" * 100_000}]}), {422}
    yield "a selector of a thousand terms", "GET", CONFIG_MAPS + "?labelSelector=" + "%2C".join(f"k{i}%21%3Dv" for i in range(3000)), "application/json", b"", {414, 400, 431}
    yield "a page token that is none", "GET", CONFIG_MAPS + "?limit=1&continue=" + "A" * 30_000, "application/json", b"", {400}


def definition(schema):
    return json.dumps({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": "bombs.example.com"},
        "spec": {"group": "example.com", "scope": "Namespaced", "names": {"plural": "bombs", "singular": "bomb", "kind": "Bomb", "listKind": "BombList"}, "versions": [{
            "name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": schema}}}}]}}).encode()


def gzip_bomb():
    import gzip
    return gzip.compress(b" " * (64 << 20))


def deep_protobuf():
    """A ConfigMap in whose metadata messages stand in each other."""
    inner = b""
    for _ in range(DEPTH):
        size, length = len(inner), b""
        while True:
            length += bytes([size & 0x7F | (0x80 if size > 0x7F else 0)])
            size >>= 7
            if not size:
                break
        inner = b"\x0a" + length + inner
    return b"k8s\x00" + inner


def test_bombs_are_refused_soon_and_harm_nobody(service, cluster):
    cluster.request("POST", CONFIG_MAPS, config_map("target", {"a": "b"}))
    pod = {"metadata": {"name": "target"}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
    assert cluster.request("POST", "/api/v1/namespaces/default/pods", pod).status == 201
    for kind in (CONFIG_MAPS + "/target", "/api/v1/namespaces/default/pods/target"):
        assert cluster.request("GET", kind).status == 200
    faults = []
    for name, method, path, content_type, body, statuses in bombs():
        before = resident(service)
        fields = {"Content-Encoding": "gzip"} if "gzip" in name else {}
        is_large = any(word in name for word in ("very many", "without end", "by key", "into a set"))
        with Neighbour(cluster) as neighbour:
            answers = [cluster.request(method, path, body, content_type, **fields) for _ in range(1 if is_large else 3)]
        growth = resident(service) - before
        seconds = min(answer.seconds for answer in answers)
        print(f"{name}: {answers[0].status} in {seconds * 1000:.0f} ms, {growth >> 20} MiB, neighbour {neighbour.slowest * 1000:.0f} ms")
        if {answer.status for answer in answers} - statuses:
            faults.append((name, answers[0]))
        if seconds > (LARGE_SECONDS if is_large else REFUSAL_SECONDS) or growth > (LARGE_GROWTH_BYTES if is_large else GROWTH_BYTES):
            faults.append((name, seconds, growth))
        if neighbour.statuses != {200} or neighbour.slowest > NEIGHBOUR_SECONDS:
            faults.append((name, neighbour.statuses, neighbour.slowest))
    assert not faults, "\n".join(map(repr, faults))


# Floods: frames and heads that never become a request.


def frame(kind, flags=0, stream=0, payload=b""):
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload


def headers(stream, flags=5):
    """GET / with HPACK's static table."""
    return frame(1, flags, stream, bytes([0x82, 0x86, 0x84, 0x41, 1]) + b"a")


def tls(cluster, protocols=("http/1.1",)):
    context = ssl.create_default_context(cafile=cluster.authority)
    context.set_alpn_protocols(list(protocols))
    return context.wrap_socket(socket.create_connection((cluster.host, cluster.port), timeout=10), server_hostname=cluster.host)


def is_cut_off(link, pieces):
    """Sends pieces until the server closes; false when it takes them all and goes on listening."""
    try:
        for piece in pieces:
            link.sendall(piece)
        link.settimeout(5)
        while True:
            if not link.recv(65536):
                return True
    except TimeoutError:
        return False
    except OSError:
        return True


def test_floods_of_frames_harm_nobody(service, cluster):
    preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(4) + frame(4, 1)
    filler = b"\x40\x01x\x64" + b"y" * 100
    floods = {
        "resets": (b"".join(headers(2 * (100 * group + i) + 1) + frame(3, 0, 2 * (100 * group + i) + 1, b"\0\0\0\x08") for i in range(100)) for group in range(200)),
        "pings": (frame(6, 0, 0, b"\0" * 8) * 1000 for _ in range(200)),
        "settings": (frame(4) * 1000 for _ in range(200)),
        "continuations": (piece for piece in [headers(1, 1)] + [frame(9, 0, 1, filler) * 20] * 2000),
    }
    for name, pieces in floods.items():
        before = resident(service)
        with Neighbour(cluster) as neighbour, tls(cluster, ("h2",)) as link:
            assert link.selected_alpn_protocol() == "h2"
            link.sendall(preface)
            assert is_cut_off(link, pieces), name
        growth = resident(service) - before
        print(f"{name}: cut off, {growth >> 20} MiB, neighbour {neighbour.slowest * 1000:.0f} ms")
        assert growth < GROWTH_BYTES and neighbour.statuses == {200} and neighbour.slowest < NEIGHBOUR_SECONDS, (name, growth, neighbour.slowest)


def test_slow_and_endless_requests_harm_nobody(service, cluster):
    """Heads that never end, a million fields, bodies that are announced and do not come, connections that say nothing."""
    before = resident(service)
    slow = []
    with Neighbour(cluster) as neighbour:
        for number in range(300):
            link = tls(cluster)
            link.sendall([b"", b"GET /api HTTP/1.1\r\nHost: x\r\nX-A: ", b"POST /api/v1/namespaces/default/configmaps HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n{"][number % 3])
            slow.append(link)
        with tls(cluster) as link:
            assert is_cut_off(link, [b"GET /api HTTP/1.1\r\nHost: x\r\n"] + [b"X-Filler: y\r\n" * 1000] * 1000)
        # Those that are slow go on, a byte at a time, and nobody is the worse for it.
        for _ in range(3):
            for link in slow:
                try:
                    link.sendall(b"a")
                except OSError:
                    pass  # Refused already, as it has no credentials.
    growth = resident(service) - before
    for link in slow:
        link.close()
    print(f"slow: {growth >> 20} MiB, neighbour {neighbour.slowest * 1000:.0f} ms")
    assert growth < GROWTH_BYTES and neighbour.statuses == {200} and neighbour.slowest < NEIGHBOUR_SECONDS, (growth, neighbour.slowest)


# What belongs to one cluster.


def test_credentials_of_one_cluster_are_nothing_at_another(clusters, cloud, service):
    def account_token(cluster):
        wait_for(lambda: cluster.request("GET", "/api/v1/namespaces/default/serviceaccounts/default").status == 200, "the default account", every=0.05)
        body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
        return cluster.request("POST", "/api/v1/namespaces/default/serviceaccounts/default/token", body).json["status"]["token"]
    canary = CONFIG_MAPS + "/home"
    for cluster in clusters:
        cluster.request("POST", CONFIG_MAPS, config_map("home", {"name": cluster.name}))
    # What each shows, and what its own cluster answers.
    credentials = [(cluster, token, status) for cluster in clusters for token, status in ((cluster.token, 200), (account_token(cluster), 403))]
    chance = random.Random(7)
    for _ in range(300):
        owner, token, status = chance.choice(credentials)
        cluster = chance.choice(clusters)
        answer = cluster.request("GET", canary, token=token)
        assert answer.status == (status if cluster is owner else 401), (owner.name, cluster.name, answer)
        assert answer.status != 200 or answer.json["data"]["name"] == cluster.name
    # A review of another cluster's token says no.
    for cluster, other in (clusters, clusters[::-1]):
        review = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": {"token": account_token(other)}}
        status = cluster.request("POST", "/apis/authentication.k8s.io/v1/tokenreviews", review).json["status"]
        assert not status.get("authenticated"), status


# What logs may not tell.


def test_no_secret_is_logged(tmp_path_factory):
    """At the finest level, after everything that has to do with secrets, went well or not, no log holds one."""
    service = Service(tmp_path_factory.mktemp("chatty"), {})
    service.arguments = ["--log-level", "trace"]
    service.start()
    try:
        cloud = Cloud(service)
        cloud.eks.create_cluster(name="chatty", **make_world(cloud, 64).request)
        active(cloud, "chatty")
        cluster = Kubernetes(service, "chatty", cloud)
        plain, forged = "canary-Ahcho4sh", "canary-eeSh1ohR"
        canaries = {plain, base64.b64encode(plain.encode()).decode(), forged, cluster.token, cloud.credentials.secret_key, "PRIVATE KEY"}
        secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "stringData": {"k": plain}}
        secrets = "/api/v1/namespaces/default/secrets"
        assert cluster.request("POST", secrets, secret).status == 201
        cluster.request("POST", secrets, secret)
        cluster.request("PATCH", secrets + "/s", json.dumps({"data": {"k": plain}}).encode(), "application/merge-patch+json")
        cluster.request("PUT", secrets + "/s", {**secret, "kind": "Frob"})
        wait_for(lambda: cluster.request("GET", "/api/v1/namespaces/default/serviceaccounts/default").status == 200, "the default account", every=0.05)
        token = cluster.request("POST", "/api/v1/namespaces/default/serviceaccounts/default/token", {"spec": {}}).json["status"]["token"]
        canaries |= {token, token.split(".")[2]}
        assert cluster.request("GET", secrets, token=token).status == 403
        # Bad credentials in every place that takes some.
        for value in (forged, "k8s-aws-v1." + base64.urlsafe_b64encode(forged.encode()).decode().rstrip("="), "a." + forged + ".c", token[:-8] + "AAAAAAAA"):
            assert cluster.request("GET", secrets, token=value).status == 401
            canaries.add(value)
        assert cluster.request("GET", secrets, Authorization="Basic " + base64.b64encode(f"x:{forged}".encode()).decode()).status == 401
        cluster.request("GET", f"/api/v1/namespaces?access_token={forged}")
        cloud.signed("GET", "/clusters", credentials=type(cloud.credentials)(cloud.credentials.access_key, forged))
        cloud.signed("GET", "/clusters", headers={"X-Amz-Security-Token": forged})
        # A webhook that cannot be reached, whose address holds a password.
        hook = {"apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingWebhookConfiguration", "metadata": {"name": "h"}, "webhooks": [{
            "name": "h.example.com", "clientConfig": {"url": "https://127.0.0.1:1/" + forged}, "admissionReviewVersions": ["v1"], "sideEffects": "None", "failurePolicy": "Ignore",
            "rules": [{"apiGroups": [""], "apiVersions": ["v1"], "resources": ["secrets"], "operations": ["*"]}]}]}
        assert cluster.request("POST", "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations", hook).status == 201
        cluster.request("PATCH", secrets + "/s", json.dumps({"metadata": {"labels": {"a": "b"}}}).encode(), "application/merge-patch+json")
        cloud.eks.delete_cluster(name="chatty")
        wait_for(lambda: cloud.eks.list_clusters()["clusters"] == [], "the cluster deleted", every=0.05)
    finally:
        service.stop()
        logs = [service.directory / "serve.log", *service.data.glob("**/*.log")]
        texts = {log: log.read_text(errors="replace") for log in logs}
        clean_up(service)
    assert sum(len(text) for text in texts.values()) > 1000, "it was to be chatty"
    for log, text in texts.items():
        for canary in canaries:
            assert canary not in text, (log, canary[:24], text[max(0, text.find(canary) - 200):][:400])
