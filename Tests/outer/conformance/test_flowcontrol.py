"""test/e2e/apimachinery/flowcontrol.go"""
from .operations import check_discovery, check_operations

VERSION = "flowcontrol.apiserver.k8s.io/v1"


def condition(kind):
    return {"conditions": [{"type": kind, "status": "False", "reason": "PatchStatusFailed", "message": "patch", "lastTransitionTime": "2026-01-01T00:00:00Z"}]}


def test_flow_schemas(cluster):
    """[sig-api-machinery] API priority and fairness should support FlowSchema API operations [Conformance]"""
    check_discovery(cluster, VERSION, "flowschemas", "flowschemas/status")
    schemas = cluster.resource(VERSION, "flowschemas")
    schema = {"apiVersion": VERSION, "kind": "FlowSchema", "spec": {
        "matchingPrecedence": 10000, "priorityLevelConfiguration": {"name": "global-default"}, "distinguisherMethod": {"type": "ByUser"},
        "rules": [{"subjects": [{"kind": "User", "user": {"name": "example-e2e-non-existent-user"}}],
                   "nonResourceRules": [{"verbs": ["*"], "nonResourceURLs": ["*"]}]}]}}
    made = schemas.create({**schema, "metadata": {"generateName": "conformance-"}})
    name = made["metadata"]["name"]
    assert schemas.patch(name, {"spec": {"matchingPrecedence": 9999}})["spec"]["matchingPrecedence"] == 9999
    schemas.delete(name)
    check_operations(schemas, schema, status=condition("Dangling"))


def test_priority_levels(cluster):
    """[sig-api-machinery] API priority and fairness should support PriorityLevelConfiguration API operations [Conformance]"""
    check_discovery(cluster, VERSION, "prioritylevelconfigurations", "prioritylevelconfigurations/status")
    levels = cluster.resource(VERSION, "prioritylevelconfigurations")
    level = {"apiVersion": VERSION, "kind": "PriorityLevelConfiguration", "spec": {
        "type": "Limited", "limited": {"nominalConcurrencyShares": 2, "limitResponse": {"type": "Reject"}}}}
    made = levels.create({**level, "metadata": {"generateName": "conformance-"}})
    name = made["metadata"]["name"]
    assert levels.patch(name, {"spec": {"limited": {"nominalConcurrencyShares": 4}}})["spec"]["limited"]["nominalConcurrencyShares"] == 4
    levels.delete(name)
    check_operations(levels, level, status=condition("Reconciled"))
