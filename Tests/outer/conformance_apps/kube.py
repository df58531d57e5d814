"""Objects of workloads, and a namespace seen through kubectl."""
import json

from conftest import wait_for

IMAGE, OTHER_IMAGE = "nginx:1.15", "nginx:1.16"
SLEEP = ["busybox", "sleep", "100000"]


class Kube:
    def __init__(self, service, namespace):
        self.service, self.namespace = service, namespace

    def kubectl(self, *arguments, **options):
        return self.service.kubectl("-n", self.namespace, *arguments, **options)

    def create(self, *objects):
        self.kubectl("create", "-f", "-", input=json.dumps({"apiVersion": "v1", "kind": "List", "items": list(objects)}))

    def get(self, kind, name=None):
        return json.loads(self.kubectl("get", kind, *([name] if name else []), "-o", "json"))

    def list(self, kind, selector=""):
        return json.loads(self.kubectl("get", kind, "-l", selector, "-o", "json"))["items"]

    def patch(self, kind, name, change, sub=None):
        self.kubectl("patch", kind, name, "--type=merge", "-p", json.dumps(change), *(["--subresource", sub] if sub else []))

    def delete(self, kind, name, *options):
        self.kubectl("delete", kind, name, "--wait=false", *options)

    def wait(self, kind, name, condition, what, timeout=60):
        seen = {}
        def check():
            object = seen["last"] = self.get(kind, name)
            return object if condition(object) else None
        try:
            return wait_for(check, f"{kind}/{name}: {what}", timeout=timeout, every=0.1)
        except AssertionError as error:
            raise AssertionError(f"{error}; {json.dumps(seen.get('last', {}).get('status'))}") from None

    def wait_pods(self, selector, condition, what, timeout=60):
        def check():
            pods = self.list("pods", selector)
            return (pods or True) if condition(pods) else None
        return wait_for(check, f"pods {selector}: {what}", timeout=timeout, every=0.1)

    def wait_running(self, selector, count, timeout=60):
        return self.wait_pods(selector, lambda pods: len([p for p in pods if ready(p)]) == count == len(pods), f"{count} ready", timeout)


def condition(object, type):
    return next((c for c in object.get("status", {}).get("conditions", []) if c["type"] == type), {})


def ready(pod):
    return condition(pod, "Ready").get("status") == "True" and "deletionTimestamp" not in pod["metadata"]


def names(objects):
    return sorted(o["metadata"]["name"] for o in objects)


def pod_spec(command=None, image=IMAGE, container=None, **spec):
    c = {"name": "c", "image": image, **(container or {})}
    if command:
        c["command"] = command
    return {"terminationGracePeriodSeconds": 0, "containers": [c], **spec}


def pod(name, labels=None, command=None, **spec):
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": labels or {}}, "spec": pod_spec(command or SLEEP, **spec)}


def workload(kind, name, replicas=None, image=IMAGE, container=None, command=None, pod=None, **spec):
    object = {"apiVersion": "apps/v1", "kind": kind, "metadata": {"name": name, "labels": {"app": name}}, "spec": {
        "selector": {"matchLabels": {"app": name}},
        "template": {"metadata": {"labels": {"app": name}}, "spec": pod_spec(command, image, container, **(pod or {}))}, **spec}}
    if replicas is not None:
        object["spec"]["replicas"] = replicas
    return object


def job(name, script, parallelism=2, completions=4, pod=None, **spec):
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name}, "spec": {
        "parallelism": parallelism, "completions": completions,
        "template": {"metadata": {"labels": {"job": name}}, "spec": pod_spec(
            ["busybox", "sh", "-c", script], **{"restartPolicy": "Never", **(pod or {})})}, **spec}}


def cron_job(name, policy, suspend=False):
    return {"apiVersion": "batch/v1", "kind": "CronJob", "metadata": {"name": name}, "spec": {
        "schedule": "*/1 * * * ?", "concurrencyPolicy": policy, "suspend": suspend,
        "jobTemplate": {"spec": {"template": {"spec": pod_spec(SLEEP, restartPolicy="OnFailure")}}}}}
