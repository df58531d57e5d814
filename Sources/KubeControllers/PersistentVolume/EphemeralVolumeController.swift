import KubeAPI
import KubeClient
import Logging

/// Makes the claims of pods' generic ephemeral volumes. Upstream: pkg/controller/volume/ephemeral.
final class EphemeralVolumeController: Controller {
    let name = "ephemeral-volume-controller"
    /// Upstream: --concurrent-ephemeralvolume-syncs.
    private static let workers = 5

    private let environment: ControllerEnvironment
    private let pods: SharedInformer
    private let claims: SharedInformer
    private let queue: WorkQueue<String>
    private let recorder: EventRecorder

    init(_ environment: ControllerEnvironment) {
        self.environment = environment
        pods = environment.informers.informer(for: .pods)
        claims = environment.informers.informer(for: .persistentVolumeClaims)
        queue = environment.queue("ephemeral_volume")
        recorder = environment.recorder(name)
        let queue = queue
        @Sendable func look(_ pod: Object) {
            if !pod.metadata.isBeingDeleted, !Self.volumes(of: pod).isEmpty { queue.add(pod.metadata.key) }
        }
        pods.addHandler(InformerHandler(added: look))
        claims.addHandler(
            InformerHandler(deleted: { claim in
                if let owner = claim.metadata.controller, owner.kind == "Pod" { queue.add("\(claim.metadata.namespace)/\(owner.name)") }
            }))
    }

    private static func volumes(of pod: Object) -> [JSONView] {
        pod["spec"]["volumes"].elements.filter { $0["ephemeral"].map { !$0.isNull } ?? false }
    }

    func run() async throws {
        for informer in [pods, claims] { try await informer.waitForSync() }
        await queue.run(workers: Self.workers, logger: environment.logger) { try await self.sync($0) }
    }

    /// The claim of a volume, which goes with its pod. Upstream: handleVolume.
    static func claim(of volume: JSONView, _ pod: Object) -> Value {
        let meta = pod.metadata
        let template = volume["ephemeral"]["volumeClaimTemplate"]
        var metadata: Value = ["name": .string("\(meta.name)-\(volume["name"].string ?? "")"), "namespace": .string(meta.namespace)]
        for key in ["labels", "annotations"] { if let value = template["metadata"][key].value, !value.isBlank { metadata[key] = value } }
        metadata["ownerReferences"] = [OwnerReference(apiVersion: "v1", kind: "Pod", name: meta.name, uid: meta.uid).value]
        return ["apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": metadata, "spec": template["spec"].value ?? [:]]
    }

    private func sync(_ key: String) async throws {
        guard let pod = pods.indexer.get(key), !pod.metadata.isBeingDeleted else { return }
        for volume in Self.volumes(of: pod) {
            let claim = Self.claim(of: volume, pod)
            let name = claim[path: "metadata", "name"]?.string ?? ""
            if let known = claims.indexer.get(namespace: pod.metadata.namespace, name: name) {
                // The pod does not start with somebody else's data; its kubelet says so.
                if known.metadata.controller?.uid == pod.metadata.uid { continue }
                throw StatusError.conflict(
                    GroupVersionResource.persistentVolumeClaims.groupResource, name, "it was not created for pod \(key) (pod is not owner)")
            }
            do {
                try await environment.client.create(.persistentVolumeClaims, claim)
            } catch let error as StatusError where error.isAlreadyExists || error.isNamespaceTerminating {
            } catch {
                recorder.event(
                    pod, .warning, reason: "FailedBinding",
                    message: "ephemeral volume \(volume["name"].string ?? ""): create PVC \(name): \((error as? StatusError)?.message ?? "\(error)")")
                throw error
            }
        }
    }
}
