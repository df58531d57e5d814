"""Probes and hooks. Upstream: test/e2e/common/node/{container_probe,lifecycle_hook}.go and test/e2e/node/pre_stop.go. Waits are shorter than upstream's, which probes every
few seconds for minutes."""
import datetime
import re

from conftest import wait_for

from .pods import STARTS, Pods, is_ready, shell, status_of
from .together import outcomes, together  # noqa: F401

# Answers what the gRPC health protocol asks with SERVING, from a file: a message of two bytes behind its frame's head.
GRPC = r"""mkdir /www/grpc.health.v1.Health
printf '\0\0\0\0\2\10\1' >/www/grpc.health.v1.Health/Check
cat >/tmp/nginx.conf <<END
user nobody nogroup;
events {}
http {
    types {}
    default_type application/grpc;
    add_trailer grpc-status 0;
    server { listen 5000 http2; root /www; location / { error_page 405 =200 \$uri; } }
}
END
exec nginx -c /tmp/nginx.conf -g 'daemon off;'"""
WEB = "exec nginx -g 'daemon off;'"
# Answers for five seconds, then no more.
WEB_THAT_ENDS = "echo ok >/www/healthz; (sleep 5; rm /www/healthz) & exec nginx -g 'daemon off;'"
FILE = "echo ok >/tmp/health; sleep 100000"
FILE_THAT_GOES = "echo ok >/tmp/health; sleep 5; rm /tmp/health; sleep 100000"


def probed(script, kind, probe, **fields):
    # Upstream's failureThreshold of 1 would take a slow machine for a broken container.
    settings = {"initialDelaySeconds": 2, "periodSeconds": 1, "timeoutSeconds": 5, "failureThreshold": 2, **fields}
    return shell(script, container={f"{kind}Probe": {**probe, **settings}}, restartPolicy="Always")


def restarts(object):
    return status_of(object).get("restartCount", 0)


@together
def test_restarts_are_counted(cluster, namespace):
    """[sig-node] Probing container should have monotonically increasing restart count [NodeConformance] [Conformance]"""
    pods, seen = Pods(cluster, namespace), [0]
    document = probed("rm -f /www/healthz; exec nginx -g 'daemon off;'", "liveness", {"httpGet": {"path": "/healthz", "port": 80}}, failureThreshold=1)

    def thrice(object):
        assert restarts(object) >= seen[0]
        seen[0] = restarts(object)
        return seen[0] >= 3
    pods.run(document, thrice, "is restarted three times")


@together
def test_failing_containers_are_restarted(cluster, namespace, name):
    """A liveness probe that begins to fail.

    [sig-node] Probing container should be restarted with a exec "cat /tmp/health" liveness probe [NodeConformance] [Conformance]
    [sig-node] Probing container should be restarted with a /healthz http liveness probe [NodeConformance] [Conformance]
    [sig-node] Probing container should be restarted with a GRPC liveness probe [NodeConformance] [Conformance]"""
    pods = Pods(cluster, namespace)
    script, probe = {
        "exec": (FILE_THAT_GOES, {"exec": {"command": ["cat", "/tmp/health"]}}), "http": (WEB_THAT_ENDS, {"httpGet": {"path": "/healthz", "port": 80}}),
        # Nobody listens at that port.
        "GRPC": (GRPC, {"grpc": {"port": 2333}})}[re.search("exec|http|GRPC", name).group()]
    pods.run(probed(script, "liveness", probe), lambda object: restarts(object) >= 1, "is restarted")


@together
def test_healthy_containers_are_left_alone(cluster, namespace, name):
    """A liveness probe that goes well.

    [sig-node] Probing container should *not* be restarted with a exec "cat /tmp/health" liveness probe [NodeConformance] [Conformance]
    [sig-node] Probing container should *not* be restarted with a tcp:8080 liveness probe [NodeConformance] [Conformance]
    [sig-node] Probing container should *not* be restarted with a /healthz http liveness probe [NodeConformance] [Conformance]
    [sig-node] Probing container should *not* be restarted with a GRPC liveness probe [NodeConformance] [Conformance]"""
    pods = Pods(cluster, namespace)
    script, probe = {
        "exec": (FILE, {"exec": {"command": ["cat", "/tmp/health"]}}), "tcp": ("exec httpd -f -p 8080 -h /www", {"tcpSocket": {"port": 8080}}),
        "http": (f"echo ok >/www/healthz; {WEB}", {"httpGet": {"path": "/healthz", "port": 80}}),
        "GRPC": (GRPC, {"grpc": {"port": 5000}})}[re.search("exec|tcp|http|GRPC", name).group()]
    # Ready by the same probe: it does go well.
    document = probed(script, "liveness", probe)
    container = document["spec"]["containers"][0]
    container["readinessProbe"] = container["livenessProbe"]
    pods.run(document)
    pods.stays("pod", lambda object: restarts(object) == 0 and is_ready(object), 12)


@together
def test_readiness_waits_for_its_delay(cluster, namespace):
    """[sig-node] Probing container with readiness probe should not be ready before initial delay and never restart [NodeConformance] [Conformance]"""
    pods = Pods(cluster, namespace)
    object = pods.run(probed(WEB, "readiness", {"httpGet": {"path": "/", "port": 80}}, initialDelaySeconds=8))
    ready = next(c["lastTransitionTime"] for c in object["status"]["conditions"] if c["type"] == "Ready")
    began, ended = (datetime.datetime.fromisoformat(time) for time in (status_of(object)["state"]["running"]["startedAt"], ready))
    assert (ended - began).total_seconds() >= 8 and restarts(object) == 0


@together
def test_readiness_that_never_comes(cluster, namespace):
    """[sig-node] Probing container with readiness probe that fails should never be ready and never restart [NodeConformance] [Conformance]"""
    pods = Pods(cluster, namespace)
    document = probed("sleep 100000", "readiness", {"exec": {"command": ["false"]}})
    pods.run(document, lambda object: object["status"].get("phase") == "Running", "runs")
    pods.stays("pod", lambda object: not is_ready(object) and restarts(object) == 0, 10)


@together
def test_hooks(cluster, namespace, name):
    """A server hears of a container's beginning or end, by a command in the container or by the kubelet's own request.

    [sig-node] Container Lifecycle Hook when create a pod with lifecycle hook should execute poststart exec hook properly [NodeConformance] [Conformance]
    [sig-node] Container Lifecycle Hook when create a pod with lifecycle hook should execute poststart http hook properly [NodeConformance] [Conformance]
    [sig-node] Container Lifecycle Hook when create a pod with lifecycle hook should execute prestop exec hook properly [NodeConformance] [Conformance]
    [sig-node] Container Lifecycle Hook when create a pod with lifecycle hook should execute prestop http hook properly [NodeConformance] [Conformance]
    [sig-node] PreStop should call prestop when killing a pod [Conformance]"""
    pods = Pods(cluster, namespace)
    address = pods.run(shell(WEB, "server"))["status"]["podIP"]
    hook = "postStart" if "poststart" in name else "preStop"
    action = {"httpGet": {"host": address, "port": 80, "path": f"/?{hook}"}} if "http" in name else {"exec": {"command": ["wget", "-qO-", f"http://{address}/?{hook}"]}}
    pods.run(shell("sleep 100000", container={"lifecycle": {hook: action}}, terminationGracePeriodSeconds=15))
    if hook == "preStop":
        assert hook not in pods.log("server")
        pods.delete("pod")
    wait_for(lambda: f"GET /?{hook}" in pods.log("server"), "the server hears of it", timeout=STARTS)
    if hook == "preStop":
        pods.wait_gone("pod", timeout=STARTS)
