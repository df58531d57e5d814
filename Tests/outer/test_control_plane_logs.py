"""Control plane logs in CloudWatch Logs: the five types, switched on and off at run time, read by boto3 and the AWS CLI."""
import json
import re
import time

import boto3
import pytest
from aws_setup import client, cluster
from botocore.config import Config
from conftest import REGION, wait_for

GROUP = "/aws/eks/demo/cluster"
TYPES = {
    "api": "kube-apiserver", "audit": "kube-apiserver-audit", "authenticator": "authenticator", "controllerManager": "kube-controller-manager",
    "scheduler": "kube-scheduler"}
DEPLOYMENT = """
apiVersion: apps/v1
kind: Deployment
metadata: {{name: {name}}}
spec:
  replicas: 1
  selector: {{matchLabels: {{app: {name}}}}}
  template:
    metadata: {{labels: {{app: {name}}}}}
    spec: {{containers: [{{name: app, image: "nginx:1.15"}}]}}
"""


@pytest.fixture(scope="module")
def demo(service):
    cluster(service, "demo", "10.93", nodes=1)
    return service


def switch(demo, enabled, *types):
    eks = client(demo, "eks")
    update = eks.update_cluster_config(name="demo", logging={"clusterLogging": [{"types": list(types), "enabled": enabled}]})["update"]
    assert update["type"] == "LoggingUpdate"
    wait_for(lambda: eks.describe_update(name="demo", updateId=update["id"])["update"]["status"] == "Successful", "the logging update")


def streams(demo):
    logs = client(demo, "logs")
    if not logs.describe_log_groups(logGroupNamePrefix=GROUP)["logGroups"]:
        return {}
    names = [stream["logStreamName"] for stream in logs.describe_log_streams(logGroupName=GROUP)["logStreams"]]
    return {kind: name for kind, prefix in TYPES.items() for name in names if re.fullmatch(prefix + "-[0-9a-f]{32}", name)}


def messages(demo, kind, pattern=""):
    if kind not in streams(demo):
        return []
    found = client(demo, "logs").get_paginator("filter_log_events").paginate(
        logGroupName=GROUP, logStreamNames=[streams(demo)[kind]], filterPattern=pattern)
    return [event["message"] for page in found for event in page["events"]]


def test_nothing_is_written_while_all_is_off(demo):
    demo.kubectl("apply", "-f", "-", input=DEPLOYMENT.format(name="quiet"))
    demo.kubectl("rollout", "status", "deployment/quiet", "--timeout=90s")
    assert streams(demo) == {}


def test_all_types_are_delivered(demo):
    switch(demo, True, *TYPES)
    demo.kubectl("apply", "-f", "-", input=DEPLOYMENT.format(name="loud"))
    demo.kubectl("rollout", "status", "deployment/loud", "--timeout=90s")
    wait_for(lambda: {"audit", "authenticator", "controllerManager", "scheduler"} <= set(streams(demo)), "the streams")


def test_the_audit_log_has_who_and_what(demo):
    made = wait_for(lambda: [e for e in map(json.loads, messages(demo, "audit", '"loud"'))
                             if e["verb"] in ("create", "patch") and e.get("objectRef", {}).get("resource") == "deployments"], "the audit event")[0]
    assert made["kind"] == "Event" and made["apiVersion"] == "audit.k8s.io/v1" and made["stage"] == "ResponseComplete"
    assert made["user"]["username"].startswith("arn:aws:") or made["user"]["username"] == "kubernetes-admin", made["user"]
    assert made["responseStatus"]["code"] == 201


def test_components_write_as_kubernetes_does(demo):
    klog = re.compile(r'^[IWEF]\d{4} \d\d:\d\d:\d\d\.\d{6} +\d+ \S+:\d+\] "')
    bound = wait_for(lambda: messages(demo, "scheduler", '"Successfully bound pod to node"'), "the scheduler's line")
    assert all(klog.match(line) for line in bound) and any('pod="default/loud-' in line for line in bound)
    occurred = wait_for(lambda: messages(demo, "controllerManager", '"ScalingReplicaSet"'), "the controller's line")
    assert all(klog.match(line) for line in occurred) and any('object="default/loud"' in line for line in occurred)
    assert wait_for(lambda: messages(demo, "authenticator", '"access granted"'), "the authenticator's line")


def test_the_aws_cli_shows_them(demo):
    # `aws logs tail`, which version 2 has, makes the same calls.
    text = json.dumps(demo.aws("logs", "filter-log-events", "--log-group-name", GROUP))
    assert "Successfully bound pod to node" in text and "audit.k8s.io/v1" in text


def test_a_live_tail_tells_of_new_lines(demo):
    logs = boto3.client(
        "logs", region_name=REGION, endpoint_url=demo.env["AWS_ENDPOINT_URL"], verify=demo.env["AWS_CA_BUNDLE"],
        aws_access_key_id=demo.env["AWS_ACCESS_KEY_ID"], aws_secret_access_key=demo.env["AWS_SECRET_ACCESS_KEY"],
        config=Config(inject_host_prefix=False))
    group = logs.describe_log_groups(logGroupNamePrefix=GROUP)["logGroups"][0]["logGroupArn"]
    stream = logs.start_live_tail(logGroupIdentifiers=[group], logEventFilterPattern='"ScalingReplicaSet"')["responseStream"]
    events = iter(stream)
    assert next(events)["sessionStart"]["logGroupIdentifiers"] == [group]
    demo.kubectl("apply", "-f", "-", input=DEPLOYMENT.format(name="tailed"))
    deadline = time.monotonic() + 60
    found = []
    while not any("tailed" in line["message"] for line in found):
        assert time.monotonic() < deadline, "the controller's line did not come"
        update = next(events)["sessionUpdate"]
        found += update["sessionResults"]
        assert update["sessionMetadata"] == {"sampled": False}
    assert all("ScalingReplicaSet" in line["message"] and line["logGroupIdentifier"] == group for line in found)
    stream.close()
    with pytest.raises(logs.exceptions.ResourceNotFoundException):
        logs.start_live_tail(logGroupIdentifiers=["none"])


def test_a_type_that_is_switched_off_ends(demo):
    switch(demo, False, "scheduler", "audit")

    def counts():
        return {kind: len(messages(demo, kind)) for kind in ("scheduler", "audit")}

    def still():
        first = counts()
        time.sleep(2)
        return first if counts() == first else None
    before = wait_for(still, "what was written before has come")
    demo.kubectl("apply", "-f", "-", input=DEPLOYMENT.format(name="later"))
    demo.kubectl("rollout", "status", "deployment/later", "--timeout=90s")
    wait_for(lambda: any("later" in line for line in messages(demo, "controllerManager")), "the controllers still tell")
    assert counts() == before


def test_the_api_server_says_when_it_ends_and_starts(demo):
    demo.stop()
    demo.start()
    wait_for(lambda: messages(demo, "api", '"Serving securely"'), "the API server's line")
