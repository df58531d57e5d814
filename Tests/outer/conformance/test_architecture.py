"""test/e2e/architecture/conformance.go"""


def test_two_nodes_take_pods(node_cluster):
    """[sig-architecture] Conformance Tests should have at least two untainted nodes [Conformance]"""
    nodes = node_cluster.core("nodes").list()["items"]

    def takes_pods(node):
        ready = {condition["type"]: condition["status"] for condition in node["status"]["conditions"]}["Ready"] == "True"
        return ready and not node["spec"].get("unschedulable") and not node["spec"].get("taints")
    assert sum(map(takes_pods, nodes)) >= 2
