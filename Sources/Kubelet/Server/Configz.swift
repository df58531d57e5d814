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
        var hard: [(String, Value)] = []
        for threshold in eviction.thresholds where threshold.grace == 0 && threshold.signal != .allocatableMemoryAvailable {
            switch threshold.amount {
            case .quantity(let quantity): hard.append((threshold.signal.rawValue, .string(quantity.description)))
            case .percent(let percent):
                hard.append((threshold.signal.rawValue, .string("\(percent == percent.rounded() ? "\(Int64(percent))" : "\(percent)")%")))
            }
        }
        value["evictionHard"] = .object(Members(hard))
        value["systemReserved"] = Value(reserved.mapValues(\.description))
        value["kind"] = "KubeletConfiguration"
        value["apiVersion"] = "kubelet.config.k8s.io/v1beta1"
        return value
    }
}
