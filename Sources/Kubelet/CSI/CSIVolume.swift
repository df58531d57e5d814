import KubeAPI

/// A volume of a driver as one pod uses it. Upstream: volume.Spec with csiMountMgr.
struct CSIVolume: Sendable {
    /// A Secret, by where it is.
    struct SecretReference: Sendable, Equatable {
        var namespace: String
        var name: String

        init?(_ view: JSONView?, namespace: String) {
            guard let name = view["name"].string, !name.isEmpty else { return nil }
            self.name = name
            self.namespace = view["namespace"].string.flatMap { $0.isEmpty ? nil : $0 } ?? namespace
        }
    }

    /// The PersistentVolume's name, or the volume's in the pod: folders and messages bear it.
    var specName: String
    var driver: String
    var handle: String
    /// Made for the pod alone, and ended with it.
    var isEphemeral: Bool
    var isReadOnly: Bool
    /// Pods have the device itself.
    var isBlock = false
    var fsType: String
    var attributes: [String: String]
    var mountOptions: [String] = []
    var accessModes: [String] = []
    var stageSecret: SecretReference?
    var publishSecret: SecretReference?
    var expandSecret: SecretReference?
    /// Bytes that the volume has, and those that its claim says it has; the difference is to be made good on the node.
    var capacity: Quantity?
    var claimedCapacity: Quantity?
    /// The claim's name; empty: there is none.
    var claimName = ""

    /// A volume that the pod names itself. Throws `VolumeError` for names that are none.
    init(inline source: JSONView, name: String, pod: Pod) throws(VolumeError) {
        specName = try PodVolumes.checked(name)
        driver = try PodVolumes.checked(source["driver"].string ?? "")
        handle = CSINames.ephemeralHandle(podUID: pod.uid, volume: name)
        isEphemeral = true
        isReadOnly = source["readOnly"].bool ?? false
        fsType = source["fsType"].string ?? ""
        attributes = source["volumeAttributes"].map(\.stringMap) ?? [:]
        publishSecret = SecretReference(source["nodePublishSecretRef"], namespace: pod.namespace)
    }

    /// A claim's volume. `isReadOnly` as the pod takes the claim. Throws `VolumeError` for names that are none.
    init(persistent: Object, claim: Object, isReadOnly: Bool) throws(VolumeError) {
        let source = persistent["spec"]["csi"]
        specName = try PodVolumes.checked(persistent.metadata.name)
        driver = try PodVolumes.checked(source["driver"].string ?? "")
        handle = source["volumeHandle"].string ?? ""
        isEphemeral = false
        self.isReadOnly = isReadOnly
        fsType = source["fsType"].string ?? ""
        attributes = source["volumeAttributes"].stringMap
        mountOptions = persistent["spec"]["mountOptions"].strings
        accessModes = persistent["spec"]["accessModes"].strings
        let namespace = claim.metadata.namespace
        stageSecret = SecretReference(source["nodeStageSecretRef"], namespace: namespace)
        publishSecret = SecretReference(source["nodePublishSecretRef"], namespace: namespace)
        expandSecret = SecretReference(source["nodeExpandSecretRef"], namespace: namespace)
        isBlock = persistent["spec"]["volumeMode"].string == "Block"
        capacity = persistent["spec"]["capacity"]["storage"].quantity
        claimedCapacity = claim["status"]["capacity"]["storage"].quantity
        claimName = claim.metadata.name
    }

    /// An operation's name in events, by what becomes of the volume. Upstream: GenerateMountVolumeFunc, GenerateMapVolumeFunc.
    func operation(_ mounting: String, _ mapping: String) -> String { isBlock ? "MapVolume.\(mapping)" : "MountVolume.\(mounting)" }

    /// As nodes' statuses name it.
    var uniqueName: String { CSINames.unique(driver: driver, handle: handle) }

    /// Bytes that the volume has grown to without the node's part; nil: it has not.
    var missingBytes: Int64? {
        guard let capacity, let claimedCapacity, claimedCapacity < capacity else { return nil }
        return capacity.value
    }

    func mount(_ capabilities: Set<CSICapability>, group: Int64?) -> CSIMount {
        CSIMount(
            fsType: fsType, flags: mountOptions, group: capabilities.contains(.mountGroup) ? group.map(String.init) ?? "" : "",
            accessMode: CSIMount.accessMode(accessModes.first ?? "ReadWriteOnce", capabilities), isBlock: isBlock)
    }
}

/// What a CSIDriver object says of a driver; without one, what upstream takes for granted. Upstream: storage/v1 CSIDriverSpec.
struct CSIDriverSettings: Sendable {
    /// A token that the driver wants of a pod's account.
    struct TokenRequest: Sendable, Equatable {
        var audience: String
        var expirationSeconds: Int64
    }

    var isKnown = false
    var attachRequired = true
    var podInfoOnMount = false
    var requiresRepublish = false
    var tokensAreSecrets = false
    var fsGroupPolicy = "ReadWriteOnceWithFSType"
    var lifecycleModes = ["Persistent"]
    var tokenRequests: [TokenRequest] = []

    init(_ driver: Object?) {
        guard let driver else { return }
        let spec = driver["spec"]
        isKnown = true
        attachRequired = spec["attachRequired"].bool ?? true
        podInfoOnMount = spec["podInfoOnMount"].bool ?? false
        requiresRepublish = spec["requiresRepublish"].bool ?? false
        tokensAreSecrets = spec["serviceAccountTokenInSecrets"].bool ?? false
        fsGroupPolicy = spec["fsGroupPolicy"].string ?? fsGroupPolicy
        let modes = spec["volumeLifecycleModes"].strings
        if !modes.isEmpty { lifecycleModes = modes }
        tokenRequests = spec["tokenRequests"].elements.map {
            TokenRequest(audience: $0["audience"].string ?? "", expirationSeconds: $0["expirationSeconds"].int ?? 3600)
        }
    }

    /// Why the driver does not serve a volume of this kind; nil: it does. Upstream: supportsVolumeLifecycleMode.
    func problem(_ volume: CSIVolume) -> String? {
        let mode = volume.isEphemeral ? "Ephemeral" : "Persistent"
        if lifecycleModes.contains(mode) { return nil }
        let refusal = "volume mode \(mode.goQuoted) not supported by driver \(volume.driver)"
        guard isKnown else { return "\(refusal) (no CSIDriver object)" }
        return "\(refusal) (only supports [\(lifecycleModes.map(\.goQuoted).joined(separator: " "))])"
    }

    /// Whether the kubelet gives the volume's files to the pod's group. Upstream: supportsFSGroup.
    func setsGroup(_ volume: CSIVolume) -> Bool {
        guard !volume.isReadOnly, !volume.isBlock, fsGroupPolicy != "None" else { return false }
        if fsGroupPolicy == "File" { return true }
        return !volume.fsType.isEmpty && (volume.isEphemeral || volume.accessModes.contains("ReadWriteOnce"))
    }

    /// What a driver is told of the pod. Upstream: getPodInfoAttrs.
    func podInfo(_ pod: Pod, _ volume: CSIVolume) -> [String: String] {
        guard podInfoOnMount else { return [:] }
        return [
            "csi.storage.k8s.io/pod.name": pod.name, "csi.storage.k8s.io/pod.namespace": pod.namespace, "csi.storage.k8s.io/pod.uid": pod.uid,
            "csi.storage.k8s.io/serviceAccount.name": pod.serviceAccountName, "csi.storage.k8s.io/ephemeral": volume.isEphemeral ? "true" : "false",
        ]
    }
}
