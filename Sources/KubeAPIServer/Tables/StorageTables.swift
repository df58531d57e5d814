import KubeAPI

/// Rows of volumes, claims and storage classes. Upstream: printPersistentVolume and its neighbours.
enum StorageTables {
    static let printers: [(String, String, TablePrinter.Printer)] = [
        ("", "persistentvolumes", persistentVolume),
        ("", "persistentvolumeclaims", persistentVolumeClaim),
        ("storage.k8s.io", "storageclasses", storageClass),
        ("storage.k8s.io", "volumeattributesclasses", volumeAttributesClass),
        ("storage.k8s.io", "volumeattachments", volumeAttachment),
        ("storage.k8s.io", "csidrivers", csiDriver),
        ("storage.k8s.io", "csinodes", { [Cells.name($0), .int(Cells.count($0["spec"]["drivers"])), Cells.age($0, $1)] }),
    ]

    /// `RWO,ROX`. Upstream: helper.GetAccessModesAsString.
    private static func accessModes(_ view: JSONView?) -> Value {
        let short = [("ReadWriteOnce", "RWO"), ("ReadOnlyMany", "ROX"), ("ReadWriteMany", "RWX"), ("ReadWriteOncePod", "RWOP")]
        let modes = view.strings
        return .string(short.filter { modes.contains($0.0) }.map(\.1).joined(separator: ","))
    }

    /// The class by the old annotation or the field.
    private static func className(_ object: Object) -> Value {
        if let old = object.metadata.annotations["volume.beta.kubernetes.io/storage-class"] { return .string(old) }
        return Cells.text(object["spec"]["storageClassName"])
    }

    private static func phase(_ object: Object) -> Value { object.metadata.isBeingDeleted ? "Terminating" : Cells.text(object["status"]["phase"]) }

    private static func persistentVolume(_ object: Object, _ now: Timestamp) -> [Value] {
        let spec = object["spec"]
        var claim = ""
        if let reference = spec["claimRef"], !reference.isNull { claim = "\(reference["namespace"].string ?? "")/\(reference["name"].string ?? "")" }
        return [
            Cells.name(object), .string((spec["capacity"]["storage"].quantity ?? .zero).description), accessModes(spec["accessModes"]),
            Cells.text(spec["persistentVolumeReclaimPolicy"]), phase(object), .string(claim), className(object),
            Cells.text(spec["volumeAttributesClassName"], or: "<unset>"), Cells.text(object["status"]["reason"]), Cells.age(object, now),
            Cells.text(spec["volumeMode"], or: "<unset>"),
        ]
    }

    private static func persistentVolumeClaim(_ object: Object, _ now: Timestamp) -> [Value] {
        let spec = object["spec"]
        let status = object["status"]
        let bound = spec["volumeName"].string?.isEmpty == false
        return [
            Cells.name(object), phase(object), Cells.text(spec["volumeName"]),
            bound ? .string((status["capacity"]["storage"].quantity ?? .zero).description) : "", bound ? accessModes(status["accessModes"]) : "",
            className(object), Cells.text(spec["volumeAttributesClassName"], or: "<unset>"), Cells.age(object, now),
            Cells.text(spec["volumeMode"], or: "<unset>"),
        ]
    }

    /// The name, marked when it is the default of its kind.
    private static func marked(_ object: Object, _ annotations: [String]) -> Value {
        let given = object.metadata.annotations
        return .string(object.metadata.name + (annotations.contains { given[$0] == "true" } ? " (default)" : ""))
    }

    private static func storageClass(_ object: Object, _ now: Timestamp) -> [Value] {
        [
            marked(object, ["storageclass.kubernetes.io/is-default-class", "storageclass.beta.kubernetes.io/is-default-class"]),
            Cells.text(object["provisioner"]),
            Cells.text(object["reclaimPolicy"], or: "Delete"), Cells.text(object["volumeBindingMode"], or: "Immediate"),
            .bool(object["allowVolumeExpansion"].bool ?? false), Cells.age(object, now),
        ]
    }

    private static func volumeAttributesClass(_ object: Object, _ now: Timestamp) -> [Value] {
        [
            marked(object, ["volumeattributesclass.alpha.kubernetes.io/is-default-class"]), Cells.text(object["driverName"]), Cells.age(object, now),
        ]
    }

    private static func volumeAttachment(_ object: Object, _ now: Timestamp) -> [Value] {
        let spec = object["spec"]
        return [
            Cells.name(object), Cells.text(spec["attacher"]), Cells.text(spec["source"]["persistentVolumeName"]), Cells.text(spec["nodeName"]),
            .bool(object["status"]["attached"].bool ?? false), Cells.age(object, now),
        ]
    }

    private static func csiDriver(_ object: Object, _ now: Timestamp) -> [Value] {
        let spec = object["spec"]
        let modes = spec["volumeLifecycleModes"].strings
        let audiences = spec["tokenRequests"].map { requests in requests.elements.map { $0["audience"].string ?? "" }.joined(separator: ",") }
        return [
            Cells.name(object), .bool(spec["attachRequired"].bool ?? true), .bool(spec["podInfoOnMount"].bool ?? false),
            .bool(spec["storageCapacity"].bool ?? false), .string(audiences ?? "<unset>"), .bool(spec["requiresRepublish"].bool ?? false),
            .string(modes.isEmpty ? "<none>" : modes.joined(separator: ",")), Cells.age(object, now),
        ]
    }
}
