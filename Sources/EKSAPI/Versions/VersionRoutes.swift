import AWSProtocol
import ClusterLifecycle

extension EKSAPI {
    static let versionHandlers: [String: EKSHandler] = [
        "DescribeClusterVersions": { call in
            let now = call.service.now
            let wanted = call.strings("clusterVersions")
            let unknown = wanted.filter { KubernetesVersions.named($0) == nil }
            guard unknown.isEmpty else {
                throw EKSFault.invalidParameter("unsupported Kubernetes version: \(unknown.map { String($0.prefix(32)) }.joined(separator: ", "))")
            }
            let status = call.string("versionStatus") ?? call.string("status").map { $0.uppercased().split(separator: "-").joined(separator: "_") }
            let includeAll = call.input["includeAll"]?.boolValue ?? false
            let kept = KubernetesVersions.all.filter { version in
                let isWanted =
                    wanted.isEmpty ? includeAll || version.status(at: now) != "UNSUPPORTED" || status != nil : wanted.contains(version.name)
                return isWanted && (status.map { $0 == version.status(at: now) } ?? true)
                    && (!(call.input["defaultOnly"]?.boolValue ?? false) || version.isDefault)
                    && (call.string("clusterType").map { $0 == "eks" } ?? true)
            }
            return ["clusterVersions": .array(kept.map { $0.json(now: now) })]
        }
    ]
}

extension KubernetesVersion {
    /// Upstream: eks ClusterVersionInformation.
    func json(now: Double) -> AWSJSON {
        let status = status(at: now)
        return [
            "clusterVersion": .string(name), "clusterType": "eks", "defaultPlatformVersion": .string(platformVersion),
            "defaultVersion": .bool(isDefault),
            "releaseDate": .double(releaseDate), "endOfStandardSupportDate": .double(endOfStandardSupport),
            "endOfExtendedSupportDate": .double(endOfExtendedSupport), "versionStatus": .string(status),
            "status": .string(status.lowercased().split(separator: "_").joined(separator: "-")), "kubernetesPatchVersion": .string(patch),
        ]
    }
}
