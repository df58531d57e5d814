import KubeAPI
import Testing

@testable import ControlPlane

/// What a node's agent is told of its kubelet.
@Suite struct NodeKubeletTests {
    @Test("only what was set is told, and the periods of a shutdown as a list of priorities")
    func value() {
        var kubelet = NodeKubelet()
        #expect(kubelet.value == [:])
        kubelet.podPidsLimit = 100
        kubelet.swapBehavior = "LimitedSwap"
        kubelet.failSwapOn = false
        kubelet.shutdownGracePeriod = 30.5
        kubelet.shutdownGracePeriodCriticalPods = 10
        let periods: Value = [
            ["priority": 0, "shutdownGracePeriodSeconds": 20], ["priority": 2_000_000_000, "shutdownGracePeriodSeconds": 10],
        ]
        kubelet.containerLogMaxSize = "5Mi"
        kubelet.containerLogMaxFiles = 3
        kubelet.singleProcessOOMKill = true
        let swap: Value = ["swapBehavior": "LimitedSwap"]
        #expect(
            kubelet.value == [
                "podPidsLimit": 100, "containerLogMaxSize": "5Mi", "containerLogMaxFiles": 3, "memorySwap": swap, "failSwapOn": false,
                "singleProcessOOMKill": true,
                "shutdownGracePeriodByPodPriority": periods,
            ])
    }

    @Test("a node's file says who it is, where the API server is, and what it registers with")
    func settings() {
        var settings = NodeSettings(
            name: "lab-1", address: "10.200.0.2", apiServerHost: "10.99.0.1", apiServerPort: 34657, providerID: "eks-hybrid:///eu-1/demo/lab-1",
            vcpus: 2, memoryMiB: 4096, maxPods: 110, kubeletVersion: "v1.36.2-eks-eyrie", clusterDNS: ["10.100.0.10"], labels: ["place": "lab"],
            taints: [(key: "place", value: "lab", effect: "NoSchedule")])
        settings.kubelet.podPidsLimit = 7
        let value = settings.value
        #expect(value["nodeName"] == "lab-1" && value["nodeIP"] == "10.200.0.2" && value["apiServerPort"] == 34657)
        #expect(value["providerID"] == "eks-hybrid:///eu-1/demo/lab-1" && value["kubelet"] == ["podPidsLimit": 7])
        #expect(value["labels"] == ["place": "lab"] && value["clusterDNS"] == ["10.100.0.10"])
        #expect(value["taints"] == [["key": "place", "value": "lab", "effect": "NoSchedule"]])
    }

    @Test("the cluster's DNS is the tenth address of its Services")
    func dns() {
        #expect(
            ClusterAddresses.dns(serviceCIDR: "10.100.0.0/16") == "10.100.0.10" && ClusterAddresses.dns(serviceCIDR: "172.20.0.0/20") == "172.20.0.10"
        )
        #expect(ClusterAddresses.dns(serviceCIDR: "x") == nil)
    }

    @Test("a list of priorities stands in place of the two periods")
    func priorities() {
        var kubelet = NodeKubelet()
        kubelet.shutdownGracePeriodByPodPriority = [.init(priority: 7, seconds: 3)]
        #expect(kubelet.shutdownPeriods == [.init(priority: 7, seconds: 3)])
        kubelet.shutdownGracePeriodByPodPriority = []
        #expect(kubelet.shutdownPeriods.isEmpty)
    }
}
