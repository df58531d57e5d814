"""What a node does with running pods: resources changed in place, limits on disk and memory kept, pods evicted. Real containers on one node, kubectl."""
import json
import os
import signal
import subprocess

import pytest
from aws_setup import cluster
from conftest import wait_for


@pytest.fixture(scope="module")
def node(service):
    # A small one, so that its memory is soon used up.
    cluster(service, "node", "10.94", nodes=1, instance_type="t3.small", kubelet={
        "podPidsLimit": 200, "shutdownGracePeriod": "10s", "shutdownGracePeriodCriticalPods": "2s", "evictionHard": {"memory.available": "120Mi"},
        "evictionSoft": {"nodefs.available": "1%"}, "evictionSoftGracePeriod": {"nodefs.available": "1m30s"}, "evictionPressureTransitionPeriod": "20s"})
    return service


def pod(name, **spec):
    container = {"name": "main", "image": "nginx:1.15", "command": ["sleep", "100000"]}
    container.update(spec.pop("container", {}))
    body = {"terminationGracePeriodSeconds": 0, "containers": [container]}
    body.update(spec)
    return json.dumps({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": body})


def create(service, name, **spec):
    service.kubectl("apply", "-f", "-", input=pod(name, **spec))
    service.kubectl("wait", "--for=condition=Ready", f"pod/{name}", "--timeout=90s")


def shell(service, name, script):
    return service.kubectl("exec", name, "--", "sh", "-c", script).strip()


def status(service, name):
    return service.get("pod", name)["status"]


def ended(service, name):
    return wait_for(lambda: (s := status(service, name))["phase"] == "Failed" and s, f"{name} is Failed", timeout=60)


def events(service, name):
    return {(e["reason"], e["message"]) for e in service.get("events", "--field-selector", f"involvedObject.name={name}")["items"]}


def limits(service, name):
    """Quota and memory limit of a container's cgroup, as the container sees it, in either version of cgroups."""
    return shell(service, name, "cd /sys/fs/cgroup; cat cpu/cpu.cfs_quota_us cpu.max memory/memory.limit_in_bytes memory.max 2>/dev/null; true").split()


def resize(service, name, cpu, memory, check=True):
    amounts = {"cpu": cpu, "memory": memory}
    patch = {"spec": {"containers": [{"name": "main", "resources": {"requests": amounts, "limits": amounts}}]}}
    return service.kubectl("patch", "pod", name, "--subresource", "resize", "--patch", json.dumps(patch), check=check)


def conditions(service, name):
    return {c["type"]: c for c in status(service, name)["conditions"]}


def resized(service, name, cpu, memory):
    """Waits until the status has these amounts and no resize is on its way; the container's status."""
    def look():
        found = status(service, name)
        container = found["containerStatuses"][0]
        same = container.get("resources", {}).get("limits") == {"cpu": cpu, "memory": memory}
        return same and not any(c["type"].startswith("PodResize") for c in found["conditions"]) and container
    return wait_for(look, f"{name} has cpu {cpu} and memory {memory}", timeout=30)


def test_settings(node):
    """What a NodeConfig says of the kubelet stands in its configuration; what it does not name is the machine image's."""
    name = node.get("nodes")["items"][0]["metadata"]["name"]
    found = json.loads(node.kubectl("get", "--raw", f"/api/v1/nodes/{name}/proxy/configz"))["kubeletconfig"]
    assert found["podPidsLimit"] == 200
    assert found["evictionHard"] == {"memory.available": "120Mi", "nodefs.available": "10%", "nodefs.inodesFree": "5%"}
    assert found["evictionSoft"] == {"nodefs.available": "1%"} and found["evictionSoftGracePeriod"] == {"nodefs.available": "1m30s"}
    assert found["evictionPressureTransitionPeriod"] == "20s"


def test_resize_in_place(node):
    """Limits of a running container change, up and down, without a restart; what has no room waits, and what never has room is refused."""
    amounts = {"cpu": "200m", "memory": "64Mi"}
    create(node, "sized", container={"resources": {"requests": amounts, "limits": amounts}})
    resize(node, "sized", "300m", "96Mi")
    container = resized(node, "sized", "300m", "96Mi")
    assert container["restartCount"] == 0 and container["allocatedResources"] == {"cpu": "300m", "memory": "96Mi"}
    assert {"30000", str(96 << 20)} <= set(limits(node, "sized"))
    resize(node, "sized", "150m", "80Mi")
    assert resized(node, "sized", "150m", "80Mi")["restartCount"] == 0
    assert {"15000", str(80 << 20)} <= set(limits(node, "sized"))
    wait_for(lambda: {"ResizeStarted", "ResizeCompleted"} <= {r for r, _ in events(node, "sized")}, "the resize is told in events")

    refused = resize(node, "sized", "100", "80Mi", check=False)
    assert refused.returncode and "node didn't have enough allocatable resources: cpu, requested: 100000, allocatable: " in refused.stdout
    create(node, "neighbour", container={"resources": {"requests": {"cpu": "1"}}})
    resize(node, "sized", "1500m", "80Mi")
    wait_for(lambda: conditions(node, "sized").get("PodResizePending", {}).get("reason") == "Deferred", "a resize without room is deferred")
    assert "15000" in limits(node, "sized")
    node.kubectl("delete", "pod", "neighbour")
    assert resized(node, "sized", "1500m", "80Mi")["restartCount"] == 0
    node.kubectl("delete", "pod", "sized")


def test_resize_with_restart(node):
    """A container whose policy says so starts anew for another memory limit, and not for another cpu limit."""
    amounts = {"cpu": "200m", "memory": "64Mi"}
    policy = [{"resourceName": "memory", "restartPolicy": "RestartContainer"}, {"resourceName": "cpu", "restartPolicy": "NotRequired"}]
    create(node, "strict", container={"resources": {"requests": amounts, "limits": amounts}, "resizePolicy": policy})
    resize(node, "strict", "250m", "64Mi")
    assert resized(node, "strict", "250m", "64Mi")["restartCount"] == 0
    resize(node, "strict", "250m", "96Mi")
    wait_for(lambda: resized(node, "strict", "250m", "96Mi")["restartCount"] == 1, "the container starts anew")
    node.kubectl("wait", "--for=condition=Ready", "pod/strict", "--timeout=30s")
    assert str(96 << 20) in limits(node, "strict")
    node.kubectl("delete", "pod", "strict")


def test_no_room(node):
    """A pod that is sent to the node by name and does not fit is refused, in the kubelet's words."""
    name = node.get("nodes")["items"][0]["metadata"]["name"]
    node.kubectl("apply", "-f", "-", input=pod("huge", nodeName=name, container={"resources": {"requests": {"cpu": "64"}}}))
    found = ended(node, "huge")
    assert found["reason"] == "OutOfcpu" and found["message"].startswith("Pod was rejected: Node didn't have enough resource: cpu, requested: 64000")
    assert "containerStatuses" not in found
    node.kubectl("delete", "pod", "huge")


def test_out_of_memory(node):
    """A container that takes more memory than its limit is killed by the kernel, and its status says so."""
    node.kubectl("apply", "-f", "-", input=pod(
        "greedy", restartPolicy="Never",
        container={"command": ["sh", "-c", "exec /bin/busybox tail -c 150m /dev/zero"], "resources": {"limits": {"memory": "32Mi"}}}))
    found = wait_for(lambda: status(node, "greedy").get("containerStatuses", [{}])[0].get("state", {}).get("terminated"), "the container has ended")
    assert (found["reason"], found["exitCode"]) == ("OOMKilled", 137)
    node.kubectl("delete", "pod", "greedy")


def test_process_limit(node):
    """A pod that starts more processes than each may have cannot, and its node and the other pods still can."""
    create(node, "forks")
    create(node, "neighbour")
    script = "(i=0; while [ $i -lt 250 ]; do sleep 5 >/dev/null 2>&1 & i=$((i+1)); done; echo everything) 2>&1; true"
    told = shell(node, "forks", script)
    assert "fork" in told and "everything" not in told
    assert "everything" in shell(node, "neighbour", script.replace("250", "20"))
    node.kubectl("delete", "pod", "forks", "neighbour")


def test_storage_limits(node):
    """A volume or a container that grows over its limit on the disk has its pod evicted, with the reason."""
    volumes = {"volumes": [{"name": "cache", "emptyDir": {"sizeLimit": "5Mi"}}]}
    mounts = {"volumeMounts": [{"name": "cache", "mountPath": "/cache"}]}
    create(node, "volume", container=mounts, **volumes)
    create(node, "layer", container={"resources": {"limits": {"ephemeral-storage": "5Mi"}}})
    create(node, "within", container=mounts | {"resources": {"limits": {"ephemeral-storage": "50Mi"}}}, **volumes)
    shell(node, "volume", "head -c 8m /dev/zero >/cache/big")
    shell(node, "layer", "head -c 8m /dev/zero >/tmp/big")
    shell(node, "within", "head -c 3m /dev/zero >/cache/big; head -c 3m /dev/zero >/tmp/big")
    found = ended(node, "volume")
    assert (found["reason"], found["message"]) == ("Evicted", 'Usage of EmptyDir volume "cache" exceeds the limit "5Mi". ')
    found = ended(node, "layer")
    assert (found["reason"], found["message"]) == ("Evicted", "Pod ephemeral local storage usage exceeds the total limit of containers 5Mi. ")
    assert status(node, "within")["phase"] == "Running"
    node.kubectl("delete", "pod", "volume", "layer", "within")


def test_restart_rules(node):
    """A container of a pod that never restarts starts again for the exit code its rule names, and no other."""
    rules = [{"action": "Restart", "exitCodes": {"operator": "In", "values": [42]}}]
    script = "test -e /work/again && exit 7; echo >/work/again; exit 42"
    node.kubectl("apply", "-f", "-", input=pod(
        "ruled", restartPolicy="Never", volumes=[{"name": "work", "emptyDir": {}}],
        container={
            "command": ["sh", "-c", script], "restartPolicy": "Never", "restartPolicyRules": rules, "volumeMounts": [{"name": "work", "mountPath": "/work"}]}))
    container = ended(node, "ruled")["containerStatuses"][0]
    assert container["restartCount"] == 1 and container["state"]["terminated"]["exitCode"] == 7
    node.kubectl("delete", "pod", "ruled")


def test_image_volume(node):
    """Another image's files are a read-only volume."""
    create(node, "reader", volumes=[{"name": "files", "image": {"reference": "nginx:1.16", "pullPolicy": "Always"}}],
           container={"volumeMounts": [{"name": "files", "mountPath": "/files"}, {"name": "files", "mountPath": "/page", "subPath": "www"}]})
    assert "1.16" in shell(node, "reader", "cat /files/www/index.html") and "1.16" in shell(node, "reader", "cat /page/index.html")
    assert node.kubectl("exec", "reader", "--", "sh", "-c", "echo x >/files/x", check=False).returncode != 0
    node.kubectl("delete", "pod", "reader")
    node.kubectl("apply", "-f", "-", input=pod("waiter", volumes=[{"name": "files", "image": {"reference": "nginx:none"}}]))
    def waiting():
        state = status(node, "waiter").get("containerStatuses", [{}])[0].get("state", {}).get("waiting", {})
        return state.get("reason") in ("ErrImagePull", "ImagePullBackOff") and state
    assert "nginx:none" in wait_for(waiting, "the pod waits for its volume's image")["message"]
    node.kubectl("delete", "pod", "waiter")


def test_sysctls(node):
    """Kernel settings of the pod's own namespaces are set, others refused."""
    create(node, "tuned", securityContext={"sysctls": [{"name": "net.ipv4.ip_unprivileged_port_start", "value": "80"}]})
    assert shell(node, "tuned", "cat /proc/sys/net/ipv4/ip_unprivileged_port_start") == "80"
    node.kubectl("apply", "-f", "-", input=pod("unsafe", securityContext={"sysctls": [{"name": "kernel.msgmax", "value": "65536"}]}))
    found = ended(node, "unsafe")
    assert (found["reason"], found["message"]) == ("SysctlForbidden", 'Pod was rejected: forbidden sysctl: "kernel.msgmax" not allowlisted')
    node.kubectl("delete", "pod", "tuned", "unsafe")


def test_static_pod(node):
    """A manifest on the node runs, shows in the API, cannot be deleted there, and ends with its file."""
    (machine,) = (node.data / "machines").glob("i-*")
    manifest = machine / "manifests" / "fixed.json"
    body = json.loads(pod("fixed"))
    manifest.write_text(json.dumps(body))
    name = "fixed-" + node.get("nodes")["items"][0]["metadata"]["name"]
    wait_for(lambda: node.kubectl("get", "pod", name, check=False).returncode == 0, "the static pod has a mirror")
    node.kubectl("wait", "--for=condition=Ready", f"pod/{name}", "--timeout=60s")
    assert shell(node, name, "echo inside") == "inside"
    first = node.get("pod", name)
    node.kubectl("delete", "pod", name)
    def back():
        found = node.kubectl("get", "pod", name, "-o", "json", check=False)
        again = found.returncode == 0 and json.loads(found.stdout)
        return again and again["metadata"]["uid"] != first["metadata"]["uid"] and again["status"].get("containerStatuses") and again
    assert wait_for(back, "the mirror comes back")["status"]["containerStatuses"][0]["containerID"] == first["status"]["containerStatuses"][0]["containerID"]
    manifest.unlink()
    wait_for(lambda: node.kubectl("get", "pod", name, check=False).returncode != 0, "the mirror goes with the manifest")


TLS = "events {} http { server { listen 443 ssl; ssl_certificate /tls/tls.crt; ssl_certificate_key /tls/tls.key; root /www; } }"


def test_https_probe(node, tmp_path):
    """A probe by HTTPS asks a server whose certificate nobody knows."""
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=web", "-days", "2"]
    node.run(*command, "-keyout", tmp_path / "tls.key", "-out", tmp_path / "tls.crt")
    node.kubectl("create", "secret", "tls", "web", f"--key={tmp_path}/tls.key", f"--cert={tmp_path}/tls.crt")
    probe = {"httpGet": {"port": 443, "scheme": "HTTPS", "path": "/index.html"}, "periodSeconds": 1}
    create(node, "web", volumes=[{"name": "tls", "secret": {"secretName": "web"}}], container={
        "command": ["sh", "-c", f"echo '{TLS}' >/tmp/nginx.conf; exec nginx -c /tmp/nginx.conf -g 'daemon off;'"],
        "readinessProbe": probe, "volumeMounts": [{"name": "tls", "mountPath": "/tls"}]})
    node.kubectl("delete", "pod", "web")
    node.kubectl("delete", "secret", "web")


def test_bandwidth(node):
    """A pod with limits of bandwidth has a token bucket for each direction, which go with it; a limit that is none is refused in upstream's words."""
    [machine] = (node.data / "machines").iterdir()

    def buckets():
        command = ["ip", "netns", "exec", f"eyrie-{machine.name}", "tc", "qdisc", "show"]
        lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
        return {line.split()[4][:3]: line for line in lines if line.startswith("qdisc tbf")}

    def limited(name, **limits):
        body = json.loads(pod(name))
        body["metadata"]["annotations"] = {f"kubernetes.io/{direction}-bandwidth": limit for direction, limit in limits.items()}
        node.kubectl("apply", "-f", "-", input=json.dumps(body))
    limited("slow", ingress="10M", egress="5M")
    node.kubectl("wait", "--for=condition=Ready", "pod/slow", "--timeout=60s")
    found = buckets()
    assert set(found) == {"eni", "bwp"} and "rate 10Mbit" in found["eni"] and "rate 5Mbit" in found["bwp"]
    limited("slower", egress="1")
    wait_for(lambda: any("resource is unreasonably small (< 1kbit)" in message for _, message in events(node, "slower")), "the pod's events say so")
    node.kubectl("delete", "pod", "slow", "slower")
    wait_for(lambda: not buckets(), "the limits go with the pod")


def test_graceful_shutdown(node):
    """When a machine ends in order its pods end first, in their time, and say why. Another takes its place."""
    old = node.get("nodes")["items"][0]["metadata"]["name"]
    script = "trap 'sleep 1; exit 0' TERM QUIT; touch /tmp/listens; while true; do sleep 0.1; done"
    create(node, "polite", terminationGracePeriodSeconds=30, container={"command": ["sh", "-c", script]})
    # Before, the first process of a container hears no signal. The image's own stop signal is QUIT.
    wait_for(lambda: node.kubectl("exec", "polite", "--", "ls", "/tmp/listens", check=False).returncode == 0, "the pod listens")
    [record] = (node.data / "machines").glob("*/process.json")
    os.kill(json.loads(record.read_text())["pid"], signal.SIGTERM)
    found = ended(node, "polite")
    assert (found["reason"], found["message"]) == ("Terminated", "Pod was terminated in response to imminent node shutdown.")
    assert found["containerStatuses"][0]["state"]["terminated"]["exitCode"] == 0
    assert any(c["type"] == "DisruptionTarget" and c["reason"] == "TerminationByKubelet" for c in found["conditions"])

    def replaced():
        nodes = node.get("nodes")["items"]
        ready = all(any(c["type"] == "Ready" and c["status"] == "True" for c in n["status"]["conditions"]) for n in nodes)
        return len(nodes) == 1 and nodes[0]["metadata"]["name"] != old and ready
    wait_for(replaced, "another node is Ready")
    node.kubectl("delete", "pod", "polite", "--force", "--grace-period=0")


def test_memory_pressure(node):
    """When pods have used up what the node has for them, the one that took most beyond its request goes, and the node says why."""
    create(node, "modest", container={"resources": {"requests": {"memory": "64Mi"}}})
    # Two volumes: one alone has no room for more than all pods may have.
    create(node, "hog", volumes=[{"name": name, "emptyDir": {"medium": "Memory"}} for name in ("one", "two")], container={
        "volumeMounts": [{"name": name, "mountPath": f"/{name}"} for name in ("one", "two")]})
    free = node.get("nodes")["items"][0]["status"]["allocatable"]["memory"]
    assert free.endswith("Ki") or free.endswith("Mi")
    mebibytes = int(free[:-2]) // (1024 if free.endswith("Ki") else 1)
    # Within the last 120 MiB that evictions keep free of what is the pods'.
    fill = f"head -c {mebibytes // 2}m /dev/zero >/one/fill; head -c {mebibytes - mebibytes // 2 + 30}m /dev/zero >/two/fill"
    node.kubectl("exec", "hog", "--", "sh", "-c", fill, check=False)  # The eviction may end it.
    found = ended(node, "hog")
    assert found["reason"] == "Evicted" and found["message"].startswith("The node was low on resource: memory. Threshold quantity: 120Mi, available: ")
    assert any(c["type"] == "DisruptionTarget" and c["reason"] == "TerminationByKubelet" for c in found["conditions"])
    def pressure():
        return {c["type"]: c["status"] for c in node.get("nodes")["items"][0]["status"]["conditions"]}["MemoryPressure"] == "True"
    wait_for(pressure, "the node is under memory pressure")
    def tainted():
        return any(t["key"] == "node.kubernetes.io/memory-pressure" for t in node.get("nodes")["items"][0]["spec"].get("taints", []))
    wait_for(tainted, "the node is tainted")
    assert status(node, "modest")["phase"] == "Running"
    node.kubectl("delete", "pod", "hog", "--wait=false")
    wait_for(lambda: not pressure(), "the pressure is over after the transition period of the node's settings", timeout=60)
