/// The node a driver takes this one for. Upstream: csi.v1.NodeGetInfoResponse.
struct CSINodeInfo: Sendable, Equatable {
    var nodeID: String
    /// Volumes the node can have; 0: the driver knows no limit.
    var maximumVolumes: Int64
    /// Labels of where the node is.
    var topology: [String: String]

    init(nodeID: String, maximumVolumes: Int64 = 0, topology: [String: String] = [:]) {
        (self.nodeID, self.maximumVolumes, self.topology) = (nodeID, maximumVolumes, topology)
    }

    init(_ message: [UInt8]) throws {
        let fields = try ProtobufFields(message)
        self.init(nodeID: fields.text(1), maximumVolumes: fields.int(2), topology: try fields.messages(3).last?.map(1) ?? [:])
    }
}

/// What a driver's node service can do beside publishing. Upstream: csi.v1.NodeServiceCapability.RPC.Type.
enum CSICapability: Int64, Sendable {
    case stageUnstage = 1
    case volumeStats = 2
    case expand = 3
    case singleNodeMultiWriter = 5
    case mountGroup = 6

    static func set(_ message: [UInt8]) throws -> Set<CSICapability> {
        Set(try ProtobufFields(message).messages(1).compactMap { try $0.messages(1).last.flatMap { CSICapability(rawValue: $0.int(1)) } })
    }
}

/// How a volume is to be mounted. Upstream: csi.v1.VolumeCapability.
struct CSIMount: Sendable, Equatable {
    var fsType = ""
    var flags: [String] = []
    /// The pod's group, for drivers that give the volume to it themselves.
    var group = ""
    /// Upstream: csi.v1.VolumeCapability.AccessMode.Mode.
    var accessMode: Int64 = 1
    /// The device itself is wanted: nothing is mounted.
    var isBlock = false

    /// Upstream: asCSIAccessModeV1 and asSingleNodeMultiWriterCapableCSIAccessModeV1.
    static func accessMode(_ mode: String, _ capabilities: Set<CSICapability>) -> Int64 {
        switch mode {
        case "ReadOnlyMany": 3
        case "ReadWriteMany": 5
        case "ReadWriteOncePod": capabilities.contains(.singleNodeMultiWriter) ? 6 : 1
        default: capabilities.contains(.singleNodeMultiWriter) ? 7 : 1
        }
    }

    var message: [UInt8] {
        if isBlock { return ProtobufFields.field(1, [UInt8]()) + ProtobufFields.field(3, ProtobufFields.field(1, accessMode)) }
        let mount = ProtobufFields.field(1, fsType) + flags.flatMap { ProtobufFields.field(2, $0) } + ProtobufFields.field(3, group)
        return ProtobufFields.field(2, mount) + ProtobufFields.field(3, ProtobufFields.field(1, accessMode))
    }
}

/// Calls of a driver's node service, with their messages. Upstream: csi.v1.Node.
enum CSIMessages {
    static let service = "/csi.v1.Node/"

    static func stage(
        _ volume: CSIVolume, at path: String, mount: CSIMount, publishContext: [String: String], secrets: [String: String]
    ) -> [UInt8] {
        var message = ProtobufFields.field(1, volume.handle) + ProtobufFields.field(2, publishContext) + ProtobufFields.field(3, path)
        message += ProtobufFields.field(4, mount.message) + ProtobufFields.field(5, secrets)
        return message + ProtobufFields.field(6, volume.attributes)
    }

    static func unstage(handle: String, at path: String) -> [UInt8] { ProtobufFields.field(1, handle) + ProtobufFields.field(2, path) }

    /// - Parameter staged: where the volume was staged; nil: the driver does not stage.
    static func publish(
        _ volume: CSIVolume, at path: String, staged: String?, mount: CSIMount, publishContext: [String: String], secrets: [String: String],
        context: [String: String]
    ) -> [UInt8] {
        var message = ProtobufFields.field(1, volume.handle) + ProtobufFields.field(2, publishContext)
        if let staged { message += ProtobufFields.field(3, staged) }
        message += ProtobufFields.field(4, path) + ProtobufFields.field(5, mount.message) + ProtobufFields.field(6, volume.isReadOnly)
        return message + ProtobufFields.field(7, secrets) + ProtobufFields.field(8, context)
    }

    static func unpublish(handle: String, at path: String) -> [UInt8] { ProtobufFields.field(1, handle) + ProtobufFields.field(2, path) }

    static func stats(handle: String, at path: String, staged: String?) -> [UInt8] {
        let message = ProtobufFields.field(1, handle) + ProtobufFields.field(2, path)
        return message + (staged.map { ProtobufFields.field(3, $0) } ?? [])
    }

    static func expand(
        _ volume: CSIVolume, at path: String, staged: String?, bytes: Int64, mount: CSIMount, secrets: [String: String]
    ) -> [UInt8] {
        var message = ProtobufFields.field(1, volume.handle) + ProtobufFields.field(2, path)
        message += ProtobufFields.field(3, ProtobufFields.field(1, bytes))
        if let staged { message += ProtobufFields.field(4, staged) }
        return message + ProtobufFields.field(5, mount.message) + ProtobufFields.field(6, secrets)
    }
}
