import ContainerRuntime

/// A plug-in says that it is there. Upstream: deviceplugin/v1beta1.RegisterRequest.
struct DeviceRegistration: Sendable, Equatable {
    static let version = "v1beta1"
    var version: String
    /// The plug-in's socket, in the folder of sockets.
    var endpoint: String
    var resource: String

    init(_ message: [UInt8]) throws {
        let fields = try ProtobufFields(message)
        (version, endpoint, resource) = (fields.text(1), fields.text(2), fields.text(3))
    }

    /// Why it cannot be registered; nil when it can. Upstream: the device manager's Register.
    var problem: String? {
        if version != Self.version {
            return "requested API version \(version.goQuoted) is not supported by kubelet. Supported version is \"\(Self.version)\""
        }
        // An extended resource: a domain other than Kubernetes' own, and a name.
        let parts = resource.split(separator: "/", omittingEmptySubsequences: false)
        let isExtended = parts.count == 2 && parts.allSatisfy { !$0.isEmpty } && !(parts.first?.hasSuffix("kubernetes.io") ?? false)
        if !isExtended || resource.hasPrefix("requests.") { return "the ResourceName \(resource.goQuoted) is invalid" }
        if endpoint.isEmpty || endpoint.contains("/") || endpoint == "." || endpoint == ".." { return "the endpoint \(endpoint.goQuoted) is invalid" }
        return nil
    }
}

/// What a container is given with its devices. Upstream: v1beta1.ContainerAllocateResponse.
struct DeviceSettings: Sendable {
    var environment: [String: String] = [:]
    var mounts: [ContainerMount] = []
    var devices: [ContainerDevice] = []
    var annotations: [String: String] = [:]

    mutating func add(_ other: DeviceSettings) {
        environment.merge(other.environment) { _, new in new }
        mounts += other.mounts
        devices += other.devices
        annotations.merge(other.annotations) { _, new in new }
    }
}

/// The messages of a plug-in's own service. Upstream: v1beta1.DevicePlugin.
enum DeviceMessages {
    /// Devices by id, with whether each is healthy.
    static func devices(_ listAndWatch: [UInt8]) throws -> [String: Bool] {
        Dictionary(try ProtobufFields(listAndWatch).messages(1).map { ($0.text(1), $0.text(2) == "Healthy") }) { _, last in last }
    }

    /// Asks for the devices of one container.
    static func allocate(_ ids: [String]) -> [UInt8] {
        ProtobufFields.field(1, ids.reduce(into: [UInt8]()) { $0 += ProtobufFields.field(1, $1) })
    }

    static func preStart(_ ids: [String]) -> [UInt8] { ids.reduce(into: [UInt8]()) { $0 += ProtobufFields.field(1, $1) } }

    static func settings(_ allocated: [UInt8]) throws -> DeviceSettings {
        guard let answer = try ProtobufFields(allocated).messages(1).first else { throw VolumeError("no container in the allocation's answer") }
        var settings = DeviceSettings()
        settings.environment = try answer.map(1)
        settings.mounts = try answer.messages(2).map { ContainerMount(containerPath: $0.text(1), hostPath: $0.text(2), readOnly: $0.flag(3)) }
        settings.devices = try answer.messages(3).map { ContainerDevice(containerPath: $0.text(1), hostPath: $0.text(2), permissions: $0.text(3)) }
        settings.annotations = try answer.map(4)
        return settings
    }

    static func needsPreStart(_ options: [UInt8]) throws -> Bool { try ProtobufFields(options).flag(1) }
}
