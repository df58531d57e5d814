"""Pods as they live. Upstream: test/e2e/common/node/{pods,pod_resize}.go and test/e2e/node/{pods,taints}.go."""
import time

import kubernetes.client
import kubernetes.stream.ws_client
import pytest
import websocket
from conftest import wait_for

from .pods import STARTS, Pods, is_ready, read_channels, shell, status_of
from .together import outcomes, together  # noqa: F401
from .workloads import IMAGE


@together
def test_five_hundred_changes(cluster, namespace):
    """[sig-node] Pods Extended (pod generation) Pod Generation issue 500 podspec updates and verify generation and observedGeneration eventually converge [MinimumKubeletVersion:1.34] [Conformance]"""
    pods = Pods(cluster, namespace)
    pods.run(shell("sleep 100000", activeDeadlineSeconds=5000))
    for deadline in range(4999, 4500, -1):
        pods.patch("pod", {"spec": {"activeDeadlineSeconds": deadline}})
    pods.wait("pod", lambda object: object["metadata"]["generation"] == object["status"].get("observedGeneration") == 500, "all changes are observed")


@together
def test_a_deadline_is_set(cluster, namespace):
    """[sig-node] Pods should allow activeDeadlineSeconds to be updated [NodeConformance] [Conformance]"""
    pods = Pods(cluster, namespace)
    pods.run(shell("sleep 100000"))
    pods.update("pod", lambda object: object["spec"].update(activeDeadlineSeconds=5))
    pods.wait("pod", lambda object: object["status"]["phase"] == "Failed" and object["status"]["reason"] == "DeadlineExceeded", "has failed at its deadline")


@together
def test_a_pod_comes_and_goes(cluster, namespace):
    """[sig-node] Pods should be submitted and removed [NodeConformance] [Conformance]"""
    pods, selector = Pods(cluster, namespace), "time=now"
    assert pods.names(labelSelector=selector) == []
    version = pods.list(labelSelector=selector)["metadata"]["resourceVersion"]
    with pods.watch(labelSelector=selector, resourceVersion=version) as watch:
        pods.create(shell("trap 'exit 0' QUIT; sleep 100000 & wait", metadata={"labels": {"time": "now"}}, terminationGracePeriodSeconds=30))
        watch.next("ADDED")
        pods.wait("pod", is_ready, "is ready", STARTS)
        going = pods.delete("pod", {"gracePeriodSeconds": 30})
        assert going["metadata"]["deletionTimestamp"] and going["spec"]["terminationGracePeriodSeconds"] != 0
        gone = watch.next("DELETED")
    # The kubelet has ended it before the object went.
    assert "terminated" in status_of(gone)["state"]
    assert pods.names(labelSelector=selector) == []


@together
def test_labels_are_changed(cluster, namespace):
    """[sig-node] Pods should be updated [NodeConformance] [Conformance]"""
    pods = Pods(cluster, namespace)
    pods.run(shell("sleep 100000", metadata={"labels": {"time": "then"}}))
    pods.update("pod", lambda object: object["metadata"]["labels"].update(time="now"))
    pods.wait("pod", is_ready, "is ready")
    assert pods.names(labelSelector="time=now") == ["pod"]


@together
def test_services_are_variables(cluster, namespace):
    """[sig-node] Pods should contain environment variables for services [NodeConformance] [Conformance]"""
    pods, services = Pods(cluster, namespace), cluster.core("services", namespace)
    pods.run(shell("exec httpd -f -p 8080 -h /www", "server", metadata={"labels": {"name": "server"}}))
    made = services.create({"metadata": {"name": "fooservice"}, "spec": {"selector": {"name": "server"}, "ports": [{"port": 8765, "targetPort": 8080}]}})
    address = made["spec"]["clusterIP"]
    # The kubelet hears of services by its own watch.
    expected = {
        f"FOOSERVICE_SERVICE_HOST={address}", "FOOSERVICE_SERVICE_PORT=8765", f"FOOSERVICE_PORT=tcp://{address}:8765",
        f"FOOSERVICE_PORT_8765_TCP=tcp://{address}:8765", "FOOSERVICE_PORT_8765_TCP_PROTO=tcp", "FOOSERVICE_PORT_8765_TCP_PORT=8765",
        f"FOOSERVICE_PORT_8765_TCP_ADDR={address}"}
    attempts = iter(range(10))
    wait_for(lambda: expected <= set(pods.output(shell("env", f"client-{next(attempts)}")).splitlines()), "a pod has the service's variables", timeout=30)


@together
def test_a_pod_has_its_nodes_address(cluster, namespace):
    """[sig-node] Pods should get a host IP [NodeConformance] [Conformance]"""
    pods = Pods(cluster, namespace)
    object = pods.run(shell("sleep 100000"), lambda object: object["status"].get("hostIP"), "has its node's address")
    node = cluster.core("nodes").get(object["spec"]["nodeName"])
    addresses = [a["address"] for a in node["status"]["addresses"] if a["type"] == "InternalIP"]
    assert object["status"]["hostIP"] in addresses and object["status"]["hostIPs"][0]["ip"] == object["status"]["hostIP"]


def socket_at(pods, path, protocol):
    """A WebSocket of the official client."""
    client = pods.cluster.client
    headers = {"sec-websocket-protocol": protocol}
    client.update_params_for_auth(headers, [], ["BearerToken"])
    return kubernetes.stream.ws_client.create_websocket(client.configuration, f"wss://{client.configuration.host.removeprefix('https://')}{path}", headers)


@together
def test_commands_by_web_socket(cluster, namespace):
    """[sig-node] Pods should support remote command execution over websockets [NodeConformance] [Conformance]"""
    pods = Pods(cluster, namespace)
    pods.run(shell("sleep 100000"))
    socket = socket_at(pods, pods.path("pod", "exec") + "?stderr=1&stdout=1&container=c&command=echo&command=remote+execution+test", "v4.channel.k8s.io")
    channels = read_channels(socket)
    assert channels[1] == b"remote execution test\n" and b"Success" in channels[3] and not channels[2]


@together
def test_logs_by_web_socket(cluster, namespace):
    """[sig-node] Pods should support retrieving logs from the container over websockets [NodeConformance] [Conformance]"""
    pods = Pods(cluster, namespace)
    pods.run(shell("echo container is alive; sleep 100000"))
    wait_for(lambda: pods.log("pod"), "it has written")
    socket = socket_at(pods, pods.path("pod", "log") + "?container=c", "binary.k8s.io")
    socket.settimeout(30)
    text = b""
    while True:
        opcode, frame = socket.recv_data_frame(True)
        if opcode == websocket.ABNF.OPCODE_CLOSE:
            break
        text += frame.data
    assert text == b"container is alive\n"


CPU, MORE_CPU, LESS_CPU = 20, 25, 15
MEMORY, MORE_MEMORY, LESS_MEMORY = 35, 40, 30


def guaranteed(*amounts):
    """Containers with the same requests and limits, a little different from each other."""
    return [
        {kind: {"cpu": f"{cpu + 2 * index}m", "memory": f"{memory + 2 * index}Mi"} for kind in ("requests", "limits")}
        for index, (cpu, memory) in enumerate(amounts)]


def asks(cpu=None, memory=None):
    return {**({"cpu": f"{cpu}m"} if cpu else {}), **({"memory": f"{memory}Mi"} if memory else {})}


ORIGINAL = [(CPU, MEMORY)] * 3
# What containers have, and what they are to have.
RESIZES = {
    "net increase": (guaranteed(*ORIGINAL), guaranteed((MORE_CPU, MORE_MEMORY), (MORE_CPU, MORE_MEMORY), (LESS_CPU, LESS_MEMORY))),
    "net decrease": (guaranteed(*ORIGINAL), guaranteed((MORE_CPU, MORE_MEMORY), (LESS_CPU, LESS_MEMORY), (LESS_CPU, LESS_MEMORY))),
    "increase: CPU": (guaranteed(*ORIGINAL), guaranteed((MORE_CPU, MEMORY), (LESS_CPU, MORE_MEMORY), (MORE_CPU, MORE_MEMORY))),
    "various operations": (
        [{"requests": asks(CPU)}, {"requests": asks(memory=MEMORY)}, {"requests": asks(CPU, MEMORY)}, {"requests": asks(CPU)}, {"requests": asks(memory=MEMORY)}],
        [{"requests": asks(MORE_CPU), "limits": asks(35)}, {"requests": asks(memory=LESS_MEMORY), "limits": asks(memory=50)}, {"requests": asks(CPU, LESS_MEMORY)},
         {"requests": asks(LESS_CPU, MEMORY)}, {"requests": asks(CPU, MORE_MEMORY)}]),
    "equivalents": ([{"requests": asks(2), "limits": asks(10)}], [{"requests": asks(1), "limits": asks(5)}]),
    "replace endpoint": (
        [{"requests": asks(CPU, MEMORY), "limits": asks(30, 45)}], [{"requests": asks(MORE_CPU, MORE_MEMORY), "limits": asks(35, 50)}])}


# What the kernel is told, as a container sees its own cgroup; by either version of cgroups.
GROUP = """m=/sys/fs/cgroup
if [ -e $m/cgroup.controllers ]; then cat $m/cpu.max $m/memory.max; else
for d in $m/cpu $m/cpu,cpuacct; do [ -e $d/cpu.cfs_quota_us ] && echo $(cat $d/cpu.cfs_quota_us $d/cpu.cfs_period_us) && break; done; cat $m/memory/memory.limit_in_bytes; fi"""


def check_resources(pods, expected):
    """The specification, the status, and the containers' cgroups."""
    def is_done(object):
        statuses = {s["name"]: s for s in object["status"]["containerStatuses"]}
        assert all(s["restartCount"] == 0 for s in statuses.values())
        return all(statuses[f"c{n}"].get("resources", {}) == resources for n, resources in enumerate(expected)) and not any(
            c["type"].startswith("PodResize") for c in object["status"]["conditions"])
    object = pods.wait("pod", is_done, f"has {expected}", timeout=STARTS)
    for number, resources in enumerate(expected):
        assert object["spec"]["containers"][number]["resources"] == resources
        limits = resources.get("limits", {})
        quota, memory = pods.exec("pod", GROUP, container=f"c{number}").splitlines()
        if "cpu" in limits:
            # A hundredth of a thousandth of a processor is a microsecond of the period; the kernel takes no less than a millisecond.
            assert quota.split() == [str(max(1000, int(limits["cpu"].removesuffix("m")) * 100)), "100000"]
        if "memory" in limits:
            assert int(memory) == int(limits["memory"].removesuffix("Mi")) << 20


@together
def test_resizes(cluster, namespace, name):
    """In place, and back again.

    [sig-node] Pod InPlace Resize Container guaranteed pods with multiple containers 3 containers - increase cpu & mem on c1, c2, decrease cpu & mem on c3 - net increase [MinimumKubeletVersion:1.34] [Conformance]
    [sig-node] Pod InPlace Resize Container guaranteed pods with multiple containers 3 containers - increase cpu & mem on c1, decrease cpu & mem on c2, c3 - net decrease [MinimumKubeletVersion:1.34] [Conformance]
    [sig-node] Pod InPlace Resize Container guaranteed pods with multiple containers 3 containers - increase: CPU (c1,c3), memory (c2, c3) ; decrease: CPU (c2) [MinimumKubeletVersion:1.34] [Conformance]
    [sig-node] Pod InPlace Resize Container burstable pods - extended 6 containers - various operations performed (including adding limits and requests) [MinimumKubeletVersion:1.34] [Conformance]
    [sig-node] Pod InPlace Resize Container burstable pods - extended resize with equivalents [MinimumKubeletVersion:1.34] [Conformance]
    [sig-node] Pod InPlace Resize Container resize pod via the replace endpoint [MinimumKubeletVersion:1.34] [Conformance]"""
    pods = Pods(cluster, namespace)
    before, after = next(resources for words, resources in RESIZES.items() if words in name)
    # What was added can not be taken away again.
    rounds = [after] if "various" in name else [after, before]

    def containers(wanted):
        return [{"name": f"c{number}", "resources": resources} for number, resources in enumerate(wanted)]
    document = shell("")
    document["spec"]["containers"] = [{**container, "image": IMAGE, "command": ["sleep", "100000"]} for container in containers(before)]
    document["spec"]["restartPolicy"] = "Always"
    pods.run(document)
    check_resources(pods, before)
    for wanted in rounds:
        if "replace" in name:
            pods.update("pod", lambda object: [old.update(new) for old, new in zip(object["spec"]["containers"], containers(wanted))], sub="resize")
        else:
            pods.patch("pod", {"spec": {"containers": containers(wanted)}}, kind="strategic", sub="resize")
        check_resources(pods, wanted)


TAINT = {"key": "kubernetes.io/e2e-evict-taint-key", "value": "evictTaintVal", "effect": "NoExecute"}


def tolerant(name, node, seconds):
    toleration = {"key": TAINT["key"], "operator": "Equal", "value": TAINT["value"], "effect": "NoExecute", "tolerationSeconds": seconds}
    return shell("sleep 100000", name, tolerations=[toleration], nodeSelector={"kubernetes.io/hostname": node})


@pytest.fixture
def tainted(node_cluster):
    """A function that taints the first node, or takes the taint away; it goes at the end."""
    nodes = node_cluster.core("nodes")
    name = nodes.names()[0]

    def taint(is_there):
        def change(object):
            others = [t for t in object["spec"].get("taints") or [] if t["key"] != TAINT["key"]]
            object["spec"]["taints"] = others + [TAINT] * is_there
        nodes.update(name, change)
    taint.node = nodes.get(name)["metadata"]["labels"]["kubernetes.io/hostname"]
    yield taint
    taint(False)


def test_taints_evict_pods_in_their_time(node_cluster, node_namespace, tainted):
    """[sig-node] NoExecuteTaintManager Multiple Pods [Serial] evicts pods with minTolerationSeconds [Disruptive] [Conformance]"""
    pods = Pods(node_cluster, node_namespace)
    for name, seconds in (("soon", 2), ("later", 6)):
        pods.create(tolerant(name, tainted.node, seconds))
    for name in ("soon", "later"):
        pods.wait(name, is_ready, "is ready", STARTS)
    began = time.monotonic()
    tainted(True)
    pods.wait_gone("soon")
    assert time.monotonic() - began >= 2 and not pods.gone("later")
    pods.wait_gone("later")
    assert time.monotonic() - began >= 6


def test_a_taint_that_goes_evicts_nobody(node_cluster, node_namespace, tainted):
    """[sig-node] NoExecuteTaintManager Single Pod [Serial] removing taint cancels eviction [Disruptive] [Conformance]"""
    pods = Pods(node_cluster, node_namespace)
    pods.run(tolerant("pod", tainted.node, 5))
    tainted(True)
    pods.stays("pod", lambda object: "deletionTimestamp" not in object["metadata"], 2)
    tainted(False)
    pods.stays("pod", lambda object: "deletionTimestamp" not in object["metadata"], 6)
