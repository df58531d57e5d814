import KubeAPI

extension KubeletConfiguration {
    /// The settings in upstream's names, for `/configz`: those that this kubelet has. Upstream: KubeletConfiguration v1beta1.
    var configz: Value {
        func time(_ duration: Duration) -> Value { .string(goDuration(duration.inSeconds)) }
        var value: Value = [
            "authentication": ["anonymous": ["enabled": false], "webhook": ["enabled": true, "cacheTTL": time(KubeletAuthority.tokenTime)]],
            "authorization": [
                "mode": "Webhook",
                "webhook": [
                    "cacheAuthorizedTTL": time(KubeletAuthority.allowedTime), "cacheUnauthorizedTTL": time(KubeletAuthority.refusedTime),
                ],
            ],
            "cgroupDriver": "cgroupfs", "clusterDNS": Value(clusterDNS), "clusterDomain": .string(clusterDomain), "failSwapOn": .bool(failSwapOn),
            "memorySwap": ["swapBehavior": .string(swapBehavior.rawValue)], "podPidsLimit": .int(podPidsLimit),
        ]
        if let server {
            value["address"] = .string(server.address)
            value["port"] = .int(Int64(server.port))
        }
        if let pods = capacity["pods"]?.value { value["maxPods"] = .int(pods) }
        if let staticPodPath { value["staticPodPath"] = .string(staticPodPath) }
        value["containerLogMaxSize"] = .string(Quantity(logs.maximumBytes, .binarySI).description)
        value["containerLogMaxFiles"] = .int(Int64(logs.maximumFiles))
        value["containerLogMonitorInterval"] = time(logs.period)
        value["nodeStatusUpdateFrequency"] = time(nodeStatusCheckPeriod)
        value["nodeStatusReportFrequency"] = time(nodeStatusReportPeriod)
        value["nodeLeaseDurationSeconds"] = .int(leaseDurationSeconds)
        value["syncFrequency"] = time(resyncPeriod)
        value["resolvConf"] = .string(resolverConfiguration)
        eviction.addConfigz(to: &value)
        value["systemReserved"] = Value(reserved.mapValues(\.description))
        value["kind"] = "KubeletConfiguration"
        value["apiVersion"] = "kubelet.config.k8s.io/v1beta1"
        return value
    }
}

extension EvictionPolicy {
    fileprivate func addConfigz(to value: inout Value) {
        let shown = thresholds.filter { $0.signal != .allocatableMemoryAvailable }
        func members(_ thresholds: [EvictionThreshold], _ text: (EvictionThreshold) -> String?) -> Value {
            .object(Members(thresholds.compactMap { threshold in text(threshold).map { (threshold.signal.rawValue, .string($0)) } }))
        }
        let soft = shown.filter { $0.grace > 0 }
        value["evictionHard"] = members(shown.filter { $0.grace == 0 }) { $0.amount.description }
        if !soft.isEmpty {
            value["evictionSoft"] = members(soft) { $0.amount.description }
            value["evictionSoftGracePeriod"] = members(soft) { goDuration($0.grace) }
        }
        let reclaim = members(shown) { $0.minimumReclaim?.description }
        if reclaim != [:] { value["evictionMinimumReclaim"] = reclaim }
        value["evictionPressureTransitionPeriod"] = .string(goDuration(transitionPeriod))
        value["evictionMaxPodGracePeriod"] = .int(maximumPodGrace)
    }
}
