"""What containers are given and what they leave. Upstream: test/e2e/common/node/{configmap,secrets,downwardapi,expansion,containers,runtime,init_container,kubelet,
kubelet_etc_hosts,security_context,sysctl,runtimeclass,image_volume}.go."""
import base64
import math
import re

import kubernetes.utils.quantity
from conftest import wait_for

from .pods import STARTS, Pods, shell, status_of
from .together import outcomes, together  # noqa: F401
from .workloads import IMAGE

DATA = {"data-1": "value-1", "data-2": "value-2", "data-3": "value-3"}
MANAGED = "# Kubernetes-managed hosts file."


def restarted(count):
    return lambda object: status_of(object).get("restartCount", 0) >= count


@together
def test_exits(cluster, namespace):
    """[sig-node] Container Runtime blackbox test when starting a container that exits should run with the expected status [NodeConformance] [Conformance]"""
    pods = Pods(cluster, namespace)
    # Fails, ends well, then runs.
    script = 'echo hello >>/data/f; count=$(wc -l </data/f); [ $count = 1 ] && exit 1; [ $count = 2 ] && exit 0; sleep 100000'
    for policy in ("Always", "OnFailure", "Never"):
        pods.create(shell(
            script, policy.lower(), {"volumeMounts": [{"name": "data", "mountPath": "/data"}]}, restartPolicy=policy, volumes=[{"name": "data", "emptyDir": {}}]))
    for policy, phase, state, restarts, ready in (
            ("Always", "Running", "running", 2, True), ("OnFailure", "Succeeded", "terminated", 1, False), ("Never", "Failed", "terminated", 0, False)):
        pods.wait(policy.lower(), lambda object: object["status"]["phase"] == phase and restarted(restarts)(object) and state in status_of(object)["state"], phase, STARTS)
        pods.wait(policy.lower(), lambda object: status_of(object)["ready"] == ready and status_of(object)["restartCount"] == restarts, f"ready: {ready}")


@together
def test_failing_init_containers_are_tried_again(cluster, namespace):
    """[sig-node] InitContainer [NodeConformance] should not start app containers if init containers fail on a RestartAlways pod [Conformance]"""
    pods = Pods(cluster, namespace)
    document = shell("sleep 100000", restartPolicy="Always", initContainers=[
        {"name": "init1", "image": IMAGE, "command": ["false"]}, {"name": "init2", "image": IMAGE, "command": ["true"]}])

    def failed(object):
        # Whatever is seen on the way, nothing behind the first one has begun.
        assert object["status"].get("phase", "Pending") == "Pending"
        assert all("waiting" in status_of(object, name, kind).get("state", {"waiting": {}}) for name, kind in (
            ("init2", "initContainerStatuses"), ("c", "containerStatuses")))
        return status_of(object, "init1", "initContainerStatuses").get("restartCount", 0) >= 3
    object = pods.run(document, failed, "the first fails three times")
    assert status_of(object, "c")["state"]["waiting"]["reason"] == "PodInitializing"
    conditions = {c["type"]: c for c in object["status"]["conditions"]}
    assert conditions["Initialized"]["status"] == "False" and conditions["Initialized"]["reason"] == "ContainersNotInitialized"
    assert conditions["Initialized"]["message"] == "containers with incomplete status: [init1 init2]"


@together
def test_variables_of_objects(cluster, namespace, name):
    """Values of ConfigMaps and Secrets by key, and all of them with and without a prefix.

    [sig-node] ConfigMap should be consumable via environment variable [NodeConformance] [Conformance]
    [sig-node] ConfigMap should be consumable via the environment [NodeConformance] [Conformance]
    [sig-node] ConfigMap should be consumable as environment variable names with various prefixes [Conformance]
    [sig-node] Secrets should be consumable from pods in env vars [NodeConformance] [Conformance]
    [sig-node] Secrets should be consumable via the environment [NodeConformance] [Conformance]
    [sig-node] Secrets should be consumable as environment variable names variable names with various prefixes [Conformance]"""
    kind = "secret" if "Secret" in name else "configMap"
    if kind == "secret":
        cluster.core("secrets", namespace).create({"metadata": {"name": "object"}, "data": {k: base64.b64encode(v.encode()).decode() for k, v in DATA.items()}})
    else:
        cluster.core("configmaps", namespace).create({"metadata": {"name": "object"}, "data": DATA})
    whole = {f"{kind}Ref": {"name": "object"}}
    if "various prefixes" in name:
        prefixes = ["#", "some.prefix-", "1 ", "$_"]
        container = {"envFrom": [{"prefix": prefix, **whole} for prefix in prefixes]}
        expected = {f"{prefix}{key}": value for prefix in prefixes for key, value in DATA.items()}
    elif "via the environment" in name:
        container = {"envFrom": [whole, {"prefix": "p-", **whole}]}
        expected = {**DATA, **{f"p-{key}": value for key, value in DATA.items()}}
    else:
        container = {"env": [{"name": "CONFIG_DATA_1", "valueFrom": {f"{kind}KeyRef": {"name": "object", "key": "data-1"}}}]}
        expected = {"CONFIG_DATA_1": "value-1"}
    # Without a shell, which drops what it could not name itself.
    lines = Pods(cluster, namespace).output(shell("", container={**container, "command": ["env"]})).splitlines()
    assert {f"{key}={value}" for key, value in expected.items()} <= set(lines)


@together
def test_a_config_map_is_replaced(cluster, namespace):
    """[sig-node] ConfigMap should update ConfigMap successfully [NodeConformance] [Conformance]"""
    maps = cluster.core("configmaps", namespace)
    made = maps.create({"metadata": {"name": "map"}, "data": DATA})
    maps.replace({**made, "data": {"data": "value"}})
    assert maps.get("map")["data"] == {"data": "value"}


FIELDS = {
    "pod UID": ["metadata.uid"], "pod name, namespace and IP": ["metadata.name", "metadata.namespace", "status.podIP"], "host IP": ["status.hostIP"],
    "hostIPs": ["status.hostIPs"]}


@together
def test_variables_of_fields(cluster, namespace, name):
    """Fields of the pod itself.

    [sig-node] Downward API should provide host IP as an env var [NodeConformance] [Conformance]
    [sig-node] Downward API should provide hostIPs as an env var [NodeConformance] [Conformance]
    [sig-node] Downward API should provide pod UID as env vars [NodeConformance] [Conformance]
    [sig-node] Downward API should provide pod name, namespace and IP address as env vars [NodeConformance] [Conformance]"""
    pods = Pods(cluster, namespace)
    fields = next(fields for words, fields in FIELDS.items() if words in name)
    container = {"env": [{"name": field.replace(".", "_"), "valueFrom": {"fieldRef": {"fieldPath": field}}} for field in fields]}
    lines = pods.output(shell("env", container=container)).splitlines()
    object = pods.get("pod")
    for field in fields:
        part, member = field.split(".")
        value = object[part][member] if field != "status.hostIPs" else ",".join(ip["ip"] for ip in object["status"]["hostIPs"])
        assert value and f"{part}_{member}={value}" in lines


@together
def test_variables_of_resources(cluster, namespace, name):
    """Limits and requests; what is not limited has what the node has.

    [sig-node] Downward API should provide container's limits.cpu/memory and requests.cpu/memory as env vars [NodeConformance] [Conformance]
    [sig-node] Downward API should provide default limits.cpu/memory from node allocatable [NodeConformance] [Conformance]"""
    pods = Pods(cluster, namespace)
    resources = {"requests": {"cpu": "250m", "memory": "32Mi"}, "limits": {"cpu": "1250m", "memory": "64Mi"}} if "container's" in name else {}
    asked = ["limits.cpu", "limits.memory"] + (["requests.cpu", "requests.memory"] if resources else [])
    env = [{"name": field.replace(".", "_"), "valueFrom": {"resourceFieldRef": {"resource": field}}} for field in asked]
    lines = pods.output(shell("env", container={"env": env, "resources": resources})).splitlines()
    if resources:
        expected = {"limits_cpu": 2, "limits_memory": 64 << 20, "requests_cpu": 1, "requests_memory": 32 << 20}
    else:
        has = cluster.core("nodes").get(pods.get("pod")["spec"]["nodeName"])["status"]["allocatable"]
        expected = {f"limits_{kind}": math.ceil(kubernetes.utils.quantity.parse_quantity(has[kind])) for kind in ("cpu", "memory")}
    assert {f"{key}={value}" for key, value in expected.items()} <= set(lines)


@together
def test_expansion(cluster, namespace, name):
    """Variables in variables, in a command and in its arguments.

    [sig-node] Variable Expansion should allow composing env vars into new env vars [NodeConformance] [Conformance]
    [sig-node] Variable Expansion should allow substituting values in a container's args [NodeConformance] [Conformance]
    [sig-node] Variable Expansion should allow substituting values in a container's command [NodeConformance] [Conformance]"""
    container = {"env": [{"name": "FOO", "value": "foo-value"}, {"name": "BAR", "value": "bar-value"}, {"name": "FOOBAR", "value": "$(FOO);;$(BAR)"}]}
    if "args" in name:
        container.update(command=["sh", "-c"], args=["echo '$(FOO) $(NONE) $$(FOO)'"])
    elif "command" in name:
        container.update(command=["sh", "-c", "echo '$(FOO) $(NONE) $$(FOO)'"])
    else:
        container.update(command=["env"])
    output = Pods(cluster, namespace).output(shell("", container=container))
    if "composing" in name:
        assert {"FOO=foo-value", "BAR=bar-value", "FOOBAR=foo-value;;bar-value"} <= set(output.splitlines())
    else:
        assert output == "foo-value $(NONE) $(FOO)\n"


def in_part(script, expression, annotations=None, env=()):
    """A pod that has a part of an empty volume at /part, named by an expression, and all of it at /whole."""
    mounts = [{"name": "work", "mountPath": "/part", "subPathExpr": expression}, {"name": "work", "mountPath": "/whole"}]
    variables = [{"name": "POD_NAME", "value": "foo"}, {"name": "ANNOTATION", "valueFrom": {"fieldRef": {"fieldPath": "metadata.annotations['mysubpath']"}}}, *env]
    return shell(
        script, container={"volumeMounts": mounts, "env": variables}, metadata={"annotations": annotations or {}}, volumes=[{"name": "work", "emptyDir": {}}])


def waits_with(reason):
    return lambda object: status_of(object).get("state", {}).get("waiting", {}).get("reason") == reason


@together
def test_parts_named_by_variables(cluster, namespace):
    """[sig-node] Variable Expansion should allow substituting values in a volume subpath [Conformance]"""
    assert Pods(cluster, namespace).output(in_part("[ -d /whole/foo ] && echo text >/whole/foo/test.log && cat /part/test.log", "$(POD_NAME)")) == "text\n"


@together
def test_parts_with_bad_names(cluster, namespace, name):
    """The container is not made.

    [sig-node] Variable Expansion should fail substituting values in a volume subpath with absolute path [Conformance]
    [sig-node] Variable Expansion should fail substituting values in a volume subpath with backticks [Conformance]"""
    value = "/tmp" if "absolute" in name else ".."
    Pods(cluster, namespace).run(in_part("true", "$(BAD)", env=[{"name": "BAD", "value": value}]), waits_with("CreateContainerConfigError"), "is not made")


@together
def test_parts_whose_names_come_later(cluster, namespace):
    """[sig-node] Variable Expansion should verify that a failing subpath expansion can be modified during the lifecycle of a container [Slow] [Conformance]"""
    pods = Pods(cluster, namespace)
    pods.run(in_part("sleep 100000", "$(ANNOTATION)/$(POD_NAME)", {"notmysubpath": "mypath"}), waits_with("CreateContainerConfigError"), "is not made")
    pods.patch("pod", {"metadata": {"annotations": {"mysubpath": "mypath"}}})
    pods.wait("pod", lambda object: object["status"]["phase"] == "Running", "runs", STARTS)


@together
def test_parts_are_written(cluster, namespace):
    """[sig-node] Variable Expansion should succeed in writing subpaths in container [Conformance]"""
    pods = Pods(cluster, namespace)
    pods.run(in_part("sleep 100000", "$(ANNOTATION)/$(POD_NAME)", {"mysubpath": "mypath"}))
    pods.exec("pod", "touch /whole/mypath/foo/test.log && test -f /part/test.log")
    pods.patch("pod", {"metadata": {"annotations": {"mysubpath": "mynewpath"}}})
    pods.stays("pod", lambda object: object["status"]["phase"] == "Running", 2)
    # The volume is taken down without the name it had.
    pods.delete("pod")
    pods.wait_gone("pod")


@together
def test_commands_and_arguments(cluster, namespace, name):
    """The image's entry point and command, and the container's command and arguments in their places.

    [sig-node] Containers should use the image defaults if command and args are blank [NodeConformance] [Conformance]
    [sig-node] Containers should be able to override the image's default arguments (container cmd) [NodeConformance] [Conformance]
    [sig-node] Containers should be able to override the image's default command (container entrypoint) [NodeConformance] [Conformance]
    [sig-node] Containers should be able to override the image's default command and arguments [NodeConformance] [Conformance]"""
    command, arguments = "default command" in name, "arguments" in name
    document = shell("", container={"image": "entrypoint:1"})
    container = document["spec"]["containers"][0]
    del container["command"]
    if command:
        container["command"] = ["echo", "own", "command"]
    if arguments:
        container["args"] = ["own", "arguments"]
    # A container's command takes the image's arguments with it.
    expected = ["own command" if command else "image entrypoint", "own arguments" if arguments else "" if command else "image command"]
    assert Pods(cluster, namespace).output(document).strip() == " ".join(expected).strip()


@together
def test_last_words(cluster, namespace, name):
    """The termination message is the file's, or the log's end where asked and the container failed.

    [sig-node] Container Runtime blackbox test on terminated container should report termination message if TerminationMessagePath is set as non-root user and at a non-default path [NodeConformance] [Conformance]
    [sig-node] Container Runtime blackbox test on terminated container should report termination message from log output if TerminationMessagePolicy FallbackToLogsOnError is set [NodeConformance] [Conformance]
    [sig-node] Container Runtime blackbox test on terminated container should report termination message as empty when pod succeeds and TerminationMessagePolicy FallbackToLogsOnError is set [NodeConformance] [Conformance]
    [sig-node] Container Runtime blackbox test on terminated container should report termination message from file when pod succeeds and TerminationMessagePolicy FallbackToLogsOnError is set [NodeConformance] [Conformance]"""
    script, message, phase, container = {
        "non-root": ("printf DONE >/dev/termination-custom-log", "DONE", "Succeeded",
                     {"terminationMessagePath": "/dev/termination-custom-log", "securityContext": {"runAsUser": 10000}}),
        "from log": ("printf DONE; exit 1", "DONE", "Failed", {}), "as empty": ("printf DONE", "", "Succeeded", {}),
        "from file": ("printf OK >/dev/termination-log; printf DONE", "OK", "Succeeded", {})}[re.search("non-root|from log|as empty|from file", name).group()]
    policy = {"terminationMessagePolicy": "FallbackToLogsOnError"} if "Fallback" in name else {}
    done = Pods(cluster, namespace).finished(shell(script, container={**container, **policy}), phase)
    assert status_of(done)["state"]["terminated"].get("message", "") == message


def inits(*commands):
    return [{"name": f"init{number}", "image": IMAGE, "command": [command]} for number, command in enumerate(commands, 1)]


@together
def test_init_containers(cluster, namespace, name):
    """All of them end well before the others begin.

    [sig-node] InitContainer [NodeConformance] should invoke init containers on a RestartNever pod [Conformance]
    [sig-node] InitContainer [NodeConformance] should invoke init containers on a RestartAlways pod [Conformance]"""
    pods = Pods(cluster, namespace)
    policy = "Never" if "Never" in name else "Always"
    phase = "Succeeded" if policy == "Never" else "Running"
    document = shell("true" if policy == "Never" else "sleep 100000", restartPolicy=policy, initContainers=inits("true", "true"))
    object = pods.run(document, lambda object: object["status"].get("phase") == phase, f"is {phase}")
    assert {c["type"]: c["status"] for c in object["status"]["conditions"]}["Initialized"] == "True"
    for status in object["status"]["initContainerStatuses"]:
        assert status["ready"] and status["state"]["terminated"]["exitCode"] == 0
    begun = status_of(object)["state"].get("terminated") or status_of(object)["state"]["running"]
    assert object["status"]["initContainerStatuses"][1]["state"]["terminated"]["finishedAt"] <= begun["startedAt"]


@together
def test_failing_init_containers(cluster, namespace):
    """[sig-node] InitContainer [NodeConformance] should not start app containers and fail the pod if init containers fail on a RestartNever pod [Conformance]"""
    done = Pods(cluster, namespace).finished(shell("true", initContainers=inits("true", "false")), "Failed")
    first, second = done["status"]["initContainerStatuses"]
    assert first["state"]["terminated"]["exitCode"] == 0 and second["state"]["terminated"]["exitCode"] == 1
    assert "waiting" in status_of(done)["state"] and "containerID" not in status_of(done)
    conditions = {c["type"]: c for c in done["status"]["conditions"]}
    assert conditions["Initialized"]["status"] == "False" and conditions["Initialized"]["message"] == "containers with incomplete status: [init2]"


@together
def test_output_is_logged(cluster, namespace):
    """[sig-node] Kubelet when scheduling a busybox command in a pod should print the output to logs [NodeConformance] [Conformance]"""
    assert Pods(cluster, namespace).output(shell("echo 'Hello World' ; sleep 1")) == "Hello World\n"


@together
def test_a_command_fails(cluster, namespace, name):
    """The reason is told, and the pod can be deleted.

    [sig-node] Kubelet when scheduling a busybox command that always fails in a pod should have an terminated reason [NodeConformance] [Conformance]
    [sig-node] Kubelet when scheduling a busybox command that always fails in a pod should be possible to delete [NodeConformance] [Conformance]"""
    pods = Pods(cluster, namespace)
    if "delete" in name:
        pods.create(shell("false", restartPolicy="Always"))
        pods.delete("pod")
        pods.wait_gone("pod")
    else:
        terminated = status_of(pods.finished(shell("false"), "Failed"))["state"]["terminated"]
        assert terminated["exitCode"] != 0 and terminated["reason"] == "Error"


@together
def test_the_root_file_system(cluster, namespace, name):
    """Written to only where it may be.

    [sig-node] Kubelet when scheduling a read only busybox container should not write to root filesystem [LinuxOnly] [NodeConformance] [Conformance]
    [sig-node] Security Context When creating a pod with readOnlyRootFilesystem should run the container with writable rootfs when readOnlyRootFilesystem=false [NodeConformance] [Conformance]"""
    pods = Pods(cluster, namespace)
    is_read_only = "read only" in name
    done = pods.finished(
        shell("echo test >/file && cat /file", container={"securityContext": {"readOnlyRootFilesystem": is_read_only}}), "Failed" if is_read_only else "Succeeded")
    assert ("Read-only file system" if is_read_only else "test") in pods.log(done["metadata"]["name"])


@together
def test_host_aliases(cluster, namespace):
    """[sig-node] Kubelet when scheduling an agnhost Pod with hostAliases should write entries to /etc/hosts [NodeConformance] [Conformance]"""
    output = Pods(cluster, namespace).output(shell("cat /etc/hosts", hostAliases=[{"ip": "123.45.67.89", "hostnames": ["foo", "bar"]}]))
    assert "# Entries added by HostAliases.\n123.45.67.89\tfoo\tbar\n" in output


@together
def test_hosts_files(cluster, namespace):
    """[sig-node] KubeletManagedEtcHosts should test kubelet managed /etc/hosts file [NodeConformance] [Conformance]"""
    pods = Pods(cluster, namespace)
    document = shell("sleep 100000", volumes=[{"name": "hosts", "hostPath": {"path": "/etc/hosts"}}])
    first = document["spec"]["containers"][0]
    document["spec"]["containers"] += [{**first, "name": "second"}, {**first, "name": "own", "volumeMounts": [{"name": "hosts", "mountPath": "/etc/hosts"}]}]
    pods.create(document)
    on_the_node = shell("sleep 100000", "host", hostNetwork=True)
    on_the_node["spec"]["containers"].append({**first, "name": "second"})
    pods.create(on_the_node)
    for name in ("pod", "host"):
        pods.wait(name, lambda object: object["status"].get("phase") == "Running", "runs", STARTS)
    for name, container, is_managed in (("pod", "c", True), ("pod", "second", True), ("pod", "own", False), ("host", "c", False), ("host", "second", False)):
        assert (MANAGED in pods.exec(name, "cat /etc/hosts", container=container)) == is_managed, (name, container)


@together
def test_users_and_groups(cluster, namespace, name):
    """The container runs as who it is told.

    [sig-node] Security Context When creating a container with runAsUser should run the container with uid 65534 [LinuxOnly] [NodeConformance] [Conformance]
    [sig-node] Security Context should support pod.Spec.SecurityContext.RunAsUser And pod.Spec.SecurityContext.RunAsGroup [LinuxOnly] [Conformance]
    [sig-node] Security Context should support container.SecurityContext.RunAsUser And container.SecurityContext.RunAsGroup [LinuxOnly] [Conformance]"""
    security = {"runAsUser": 65534} if "65534" in name else {"runAsUser": 1001, "runAsGroup": 2002}
    place = {"securityContext": security} if "pod.Spec" in name else {"container": {"securityContext": security}}
    user, group = Pods(cluster, namespace).output(shell("id -u; id -g", **place)).split()
    assert user == str(security["runAsUser"]) and group == str(security.get("runAsGroup", group))


@together
def test_an_unprivileged_container(cluster, namespace):
    """[sig-node] Security Context When creating a pod with privileged should run the container as unprivileged when false [LinuxOnly] [NodeConformance] [Conformance]"""
    output = Pods(cluster, namespace).output(shell("ip link add dummy0 type dummy 2>&1 || true", container={"securityContext": {"privileged": False}}))
    assert "Operation not permitted" in output


@together
def test_privileges_are_not_escalated(cluster, namespace):
    """[sig-node] Security Context when creating containers with AllowPrivilegeEscalation should not allow privilege escalation when false [LinuxOnly] [NodeConformance] [Conformance]"""
    # The image's program belongs to root and has the bit that lets it run as its owner.
    pods, security = Pods(cluster, namespace), {"runAsUser": 1000, "allowPrivilegeEscalation": False}
    assert pods.output(shell("peer whoami", container={"securityContext": security})).strip() == "1000"
    assert pods.output(shell("peer whoami", "may", container={"securityContext": {"runAsUser": 1000}})).strip() == "0"


@together
def test_sysctls(cluster, namespace):
    """[sig-node] Sysctls [LinuxOnly] [NodeConformance] should support sysctls [Environment:NotInUserNS] [Conformance]"""
    output = Pods(cluster, namespace).output(shell(
        "cat /proc/sys/kernel/shm_rmid_forced", securityContext={"sysctls": [{"name": "kernel.shm_rmid_forced", "value": "1"}]}))
    assert output.strip() == "1"


@together
def test_a_runtime_class_without_overhead(cluster, namespace):
    """[sig-node] RuntimeClass should schedule a Pod requesting a RuntimeClass without PodOverhead [NodeConformance] [Conformance]"""
    classes, pods = cluster.resource("node.k8s.io/v1", "runtimeclasses"), Pods(cluster, namespace)
    classes.create({"metadata": {"name": namespace}, "handler": "runc"})
    try:
        assert "overhead" not in pods.create(shell("true", runtimeClassName=namespace))["spec"]
        wait_for(lambda: pods.get("pod")["spec"].get("nodeName"), "it is scheduled")
        pods.wait("pod", lambda object: object["status"]["phase"] == "Succeeded", "has ended", STARTS)
    finally:
        classes.delete(namespace)


@together
def test_an_image_as_a_volume(cluster, namespace):
    """[sig-node] ImageVolume should succeed with pod and pull policy of Always [LinuxOnly] [MinimumKubeletVersion:1.35] [Conformance]"""
    pods = Pods(cluster, namespace)
    volume = {"name": "volume", "image": {"reference": "nginx:1.16", "pullPolicy": "Always"}}
    pods.run(shell("sleep 100000", container={"volumeMounts": [{"name": "volume", "mountPath": "/volume"}]}, restartPolicy="Always", volumes=[volume]))
    assert "1.16" in pods.exec("pod", "cat /volume/www/index.html") and "nobody" in pods.exec("pod", "cat /volume/etc/passwd")
