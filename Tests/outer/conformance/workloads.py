"""Pods and their owners as tests make them; all run one small image of the tests' registry."""
IMAGE = "nginx:1.15"
SLEEP = ["sleep", "100000"]


def pod(name, metadata=None, container=None, **spec):
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, **(metadata or {})}, "spec": {
        "terminationGracePeriodSeconds": 0, "containers": [{"name": "c", "image": IMAGE, **(container or {})}], **spec}}


def template(labels):
    return {"metadata": {"labels": labels}, "spec": {"terminationGracePeriodSeconds": 0, "containers": [{"name": "nginx", "image": IMAGE}]}}


def replication_controller(name, replicas, labels):
    return {"apiVersion": "v1", "kind": "ReplicationController", "metadata": {"name": name}, "spec": {
        "replicas": replicas, "selector": labels, "template": template(labels)}}


def deployment(name, replicas, labels=None, metadata=None):
    labels = labels or {"app": name}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name, **(metadata or {})}, "spec": {
        "replicas": replicas, "selector": {"matchLabels": labels}, "template": template(labels)}}
