import Foundation
import KubeAPI
import KubeClient
import Testing

@testable import KubeControllers

/// Nobody may ask while controllers are only made.
private struct NoServer: KubeTransport {
    func perform(_ request: KubeRequest) async throws -> Object { throw StatusError.serviceUnavailable("there is no server") }

    func watch(_ request: KubeRequest) async throws -> AsyncThrowingStream<WatchEvent, any Error> {
        throw StatusError.serviceUnavailable("there is no server")
    }
}

/// The controllers that run, by upstream's names, against the folders that are there: a new folder must be wired, and written down here.
@Suite("The list of controllers")
struct ControllerListTests {
    private static let golden: [String: [String]] = [
        "AttachDetach": ["persistentvolume-attach-detach-controller"],
        "Bootstrap": ["token-cleaner-controller"],
        "Certificates": [
            "certificatesigningrequest-approving-controller", "certificatesigningrequest-cleaner-controller",
            "certificatesigningrequest-signing-controller",
        ],
        "ClusterRoleAggregation": ["clusterrole-aggregation-controller"],
        "CronJob": ["cronjob-controller"],
        "DaemonSet": ["daemonset-controller"],
        "Deployment": ["deployment-controller"],
        "Disruption": ["disruption-controller"],
        "EndpointSlice": ["endpoint-slice-controller"],
        "EndpointSliceMirroring": ["endpointslice-mirroring-controller"],
        "Endpoints": ["endpoints-controller"],
        "GarbageCollector": ["garbage-collector-controller"],
        "HorizontalPodAutoscaler": ["horizontal-pod-autoscaler-controller"],
        "Job": ["job-controller"],
        "Namespace": ["namespace-controller"],
        "NodeLifecycle": ["node-lifecycle-controller"],
        "NodeTTL": ["ttl-controller"],
        "PersistentVolume": ["ephemeral-volume-controller", "persistentvolume-binder-controller"],
        "PodGC": ["pod-garbage-collector-controller"],
        "ReplicaSet": ["replicaset-controller", "replicationcontroller-controller"],
        "ResourceClaim": ["resourceclaim-controller"],
        "ResourceQuota": ["resourcequota-controller"],
        "RootCAPublisher": ["root-ca-certificate-publisher-controller"],
        "ServiceAccount": ["serviceaccount-controller"],
        "ServiceAccountTokens": ["serviceaccount-token-controller"],
        "StatefulSet": ["statefulset-controller"],
        "TTLAfterFinished": ["ttl-after-finished-controller"],
        "TaintEviction": ["taint-eviction-controller"],
        "VolumeProtection": [
            "persistentvolume-protection-controller", "persistentvolumeclaim-protection-controller",
            "volumeattributesclass-protection-controller",
        ],
    ]

    /// The folders that hold no controller.
    private static let others: Set = ["Framework"]

    private static let sources = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().appendingPathComponent("Sources/KubeControllers")

    /// The folder that each controller's type is declared in, by the type's name.
    private static func declarations() throws -> [String: String] {
        var result: [String: String] = [:]
        for path in FileManager.default.enumerator(atPath: sources.path)?.compactMap({ $0 as? String }) ?? [] where path.hasSuffix(".swift") {
            let text = try String(contentsOf: sources.appendingPathComponent(path), encoding: .utf8)
            for match in text.matches(of: /(?:class|actor|struct) (\w+)(?:<[^>]*>)?: [^{\n]*\bController\b/) {
                result[String(match.1)] = String(path.prefix { $0 != "/" })
            }
        }
        return result
    }

    private static let running: [any Controller] = {
        let configuration = ControllerConfiguration(rootCAPEM: "", resources: { .shared })
        let environment = ControllerEnvironment(client: KubeClient(transport: NoServer()), configuration: configuration)
        return Controllers.standard.map { environment.make($0) }
    }()

    @Test("every controller that is declared runs, and its folder is written down")
    func declared() throws {
        let folders = try Self.declarations()
        #expect(folders.count > 25)
        let types = Set(Self.running.map { String(describing: type(of: $0)) })
        #expect(types == Set(folders.keys))
        var found: [String: [String]] = [:]
        for controller in Self.running { found[folders[String(describing: type(of: controller))] ?? "", default: []].append(controller.name) }
        #expect(found.mapValues { $0.sorted() } == Self.golden)
    }

    @Test("every folder has a controller, or is known to have none")
    func folders() throws {
        let entries = try FileManager.default.contentsOfDirectory(at: Self.sources, includingPropertiesForKeys: [.isDirectoryKey])
        let folders = try entries.filter { try $0.resourceValues(forKeys: [.isDirectoryKey]).isDirectory == true }.map(\.lastPathComponent)
        #expect(Set(folders) == Set(Self.golden.keys).union(Self.others))
    }

    @Test("no two controllers have a name in common")
    func names() { #expect(Set(Self.running.map(\.name)).count == Self.running.count) }
}
