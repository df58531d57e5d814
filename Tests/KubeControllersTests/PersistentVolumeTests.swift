import KubeAPI
import Testing

@testable import KubeControllers

private func claim(_ storageClass: String = "", size: String = "1Gi", volume: String? = nil, annotations: [String: String] = [:], uid: String = "c")
    throws
    -> Object
{
    var spec: Value = [
        "accessModes": ["ReadWriteOnce"], "storageClassName": .string(storageClass), "resources": ["requests": ["storage": .string(size)]],
    ]
    if let volume { spec["volumeName"] = .string(volume) }
    return try object([
        "apiVersion": "v1", "kind": "PersistentVolumeClaim",
        "metadata": ["name": "data", "namespace": "default", "uid": .string(uid), "annotations": Value(annotations)], "spec": spec,
    ])
}

private func volume(
    _ name: String, _ storageClass: String = "", size: String = "1Gi", claim: String? = nil, phase: String = "Available", policy: String = "Retain",
    annotations: [String: String] = [:]
) throws -> Object {
    var spec: Value = [
        "accessModes": ["ReadWriteOnce"], "storageClassName": .string(storageClass), "capacity": ["storage": .string(size)],
        "persistentVolumeReclaimPolicy": .string(policy),
    ]
    if let claim { spec["claimRef"] = ["name": "data", "namespace": "default", "uid": .string(claim)] }
    return try object([
        "apiVersion": "v1", "kind": "PersistentVolume", "metadata": ["name": .string(name), "annotations": Value(annotations)], "spec": spec,
        "status": ["phase": .string(phase)],
    ])
}

private func storageClass(_ name: String, mode: String = "Immediate", provisioner: String = "ebs.csi.aws.com") throws -> Object {
    try object([
        "apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": ["name": .string(name)], "provisioner": .string(provisioner),
        "volumeBindingMode": .string(mode), "reclaimPolicy": "Delete",
    ])
}

private func bound(_ decision: ClaimDecision) -> String? { if case .bind(let volume) = decision { volume.metadata.name } else { nil } }
private func reason(_ decision: ClaimDecision) -> String? {
    switch decision {
    case .wait(let event): event?.reason
    case .lost(let reason, _): reason
    default: nil
    }
}

@Suite("Persistent volumes")
struct PersistentVolumeTests {
    @Test("a claim gets the smallest free volume of its class that is large enough, or the one promised to it")
    func match() throws {
        let volumes = [
            try volume("small", "a", size: "1Gi"), try volume("large", "a", size: "100Gi"), try volume("fits", "a", size: "6Gi"),
            try volume("taken", "a", size: "5Gi", claim: "other"), try volume("other", "b", size: "5Gi"),
        ]
        let wanted = try claim("a", size: "5Gi")
        #expect(bound(ClaimDecision(wanted, volume: nil, volumes: volumes, storageClass: nil)) == "fits")
        let promised = volumes + [try volume("mine", "a", size: "50Gi", claim: "c")]
        #expect(bound(ClaimDecision(wanted, volume: nil, volumes: promised, storageClass: nil)) == "mine")
    }

    @Test("without a volume a claim waits for its first pod, or for a provisioner, or says what it lacks")
    func waiting() throws {
        let delayed = try storageClass("a", mode: "WaitForFirstConsumer")
        #expect(reason(ClaimDecision(try claim("a"), volume: nil, volumes: [], storageClass: delayed)) == "WaitForFirstConsumer")
        let selected = try claim("a", annotations: [ClaimBinding.selectedNode: "n1"])
        guard case .provision = ClaimDecision(selected, volume: nil, volumes: [], storageClass: delayed) else {
            Issue.record("no volume is made for the node")
            return
        }
        #expect(reason(ClaimDecision(try claim(), volume: nil, volumes: [], storageClass: nil)) == "FailedBinding")
        #expect(reason(ClaimDecision(try claim("gone"), volume: nil, volumes: [], storageClass: nil)) == "ProvisioningFailed")
    }

    @Test("a bound claim whose volume is gone or another's is lost")
    func lost() throws {
        let done = [ClaimBinding.bindCompleted: "yes"]
        #expect(reason(ClaimDecision(try claim(volume: "v", annotations: done), volume: nil, volumes: [], storageClass: nil)) == "ClaimLost")
        let other = try volume("v", claim: "other")
        #expect(reason(ClaimDecision(try claim(volume: "v", annotations: done), volume: other, volumes: [], storageClass: nil)) == "ClaimMisbound")
        #expect(
            bound(ClaimDecision(try claim(volume: "v", annotations: done), volume: try volume("v", claim: "c"), volumes: [], storageClass: nil))
                == "v")
    }

    @Test("a volume is available, bound, released or free again, as its claim says")
    func phases() throws {
        #expect(VolumeDecision(try volume("v"), claim: nil) == .phase("Available"))
        #expect(VolumeDecision(try volume("v", claim: "c"), claim: try claim(volume: "v")) == .phase("Bound"))
        #expect(VolumeDecision(try volume("v", claim: "c"), claim: try claim()) == .claim)
        #expect(VolumeDecision(try volume("v", claim: "c"), claim: nil) == .release)
        #expect(VolumeDecision(try volume("v", claim: "c"), claim: try claim(uid: "new")) == .release)
        #expect(VolumeDecision(try volume("v", claim: "c"), claim: try claim(volume: "w")) == .unbind)
    }

    @Test("a made volume is the claim's from its beginning, in the zone of the pod's node")
    func provisioned() throws {
        let made = LocalVolumes.volume(for: try claim("gp3", size: "8Gi"), try storageClass("gp3"), path: "/v/pvc-c", zone: "us-west-2a")
        #expect(made[path: "metadata", "name"]?.string == "pvc-c")
        #expect(made[path: "spec", "claimRef", "uid"]?.string == "c")
        #expect(made[path: "spec", "capacity", "storage"]?.string == "8Gi")
        #expect(made[path: "spec", "persistentVolumeReclaimPolicy"]?.string == "Delete")
        let term = made[path: "spec", "nodeAffinity", "required", "nodeSelectorTerms"]?.array?.first
        #expect(term?["matchExpressions"]?.array?.first?["values"]?.array == ["us-west-2a"])
        var shared = try claim("gp3").value
        shared[path: "spec", "accessModes"] = ["ReadWriteMany"]
        #expect(LocalVolumes.problem(try object(shared)) != nil)
        #expect(LocalVolumes.problem(try claim("gp3")) == nil)
    }

    @Test("a volume is files or a block device of the claim's size")
    func kinds() throws {
        var block = try claim("gp3", size: "3Gi").value
        block[path: "spec", "volumeMode"] = "Block"
        #expect(LocalVolumes.problem(try object(block)) == nil)
        #expect(LocalVolumes.kind(for: try object(block)) == .block(bytes: 3 << 30))
        let made = LocalVolumes.volume(for: try object(block), try storageClass("gp3"), path: "/v/pvc-c/disk", zone: nil)
        #expect(made[path: "spec", "volumeMode"]?.string == "Block" && made[path: "spec", "local", "path"]?.string == "/v/pvc-c/disk")
        #expect(LocalVolumes.kind(for: try claim("gp3", size: "2Gi")) == .filesystem(bytes: 2 << 30))
    }

    @Test("a claim whose disk has grown waits for the node, once")
    func awaitingNode() throws {
        var before = try claim("gp3").value
        before[path: "status", "conditions"] = [["type": "Resizing", "status": "True"], ["type": "Other", "status": "True"]]
        #expect(!LocalVolumes.isAwaitingNode(try object(before)))
        let after = try object(LocalVolumes.awaitingNode(try object(before), now: Timestamp(microseconds: 0)))
        #expect(after["status"]["conditions"].elements.map { $0["type"].string } == ["Other", "FileSystemResizePending"])
        #expect(after["status"]["allocatedResourceStatuses"]["storage"].string == "NodeResizePending")
        #expect(LocalVolumes.isAwaitingNode(after))
    }
}
