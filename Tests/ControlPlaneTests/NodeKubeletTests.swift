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
        let swap: Value = ["swapBehavior": "LimitedSwap"]
        #expect(
            kubelet.value == ["podPidsLimit": 100, "memorySwap": swap, "failSwapOn": false, "shutdownGracePeriodByPodPriority": periods])
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
