/// What a plug-in says of itself at its registration socket. Upstream: pluginregistration/v1.PluginInfo.
struct PluginRegistration: Sendable, Equatable {
    static let getInfo = "/pluginregistration.Registration/GetInfo"
    static let notifyStatus = "/pluginregistration.Registration/NotifyRegistrationStatus"
    /// Upstream: pluginregistration.CSIPlugin.
    static let csiType = "CSIPlugin"

    var type: String
    /// The driver's name.
    var name: String
    /// The socket of the plug-in's own services; empty: the registration's.
    var endpoint: String
    var versions: [String]

    init(_ message: [UInt8]) throws {
        let fields = try ProtobufFields(message)
        (type, name, endpoint, versions) = (fields.text(1), fields.text(2), fields.text(3), fields.texts(4))
    }

    /// Why it cannot be registered; nil when it can. Upstream: pluginmanager's handler lookup and RegistrationHandler.ValidatePlugin.
    func problem(socket: String) -> String? {
        guard type == Self.csiType else { return "no handler registered for plugin type: \(type) at socket \(socket)" }
        let failure = "CSI driver \(name) at \(endpoint)"
        guard !name.isEmpty, !name.contains("/"), name != ".", name != ".." else { return "\(failure) has a name that is not valid" }
        guard !versions.isEmpty else { return "\(failure) must specify a valid version" }
        let isSupported = versions.contains { version in
            let number = version.hasPrefix("v") ? version.dropFirst() : version[...]
            return number.split(separator: ".", omittingEmptySubsequences: false).first == "1"
        }
        return isSupported ? nil : "\(failure) does not support CSI version 1: it has \(versions.joined(separator: ", "))"
    }

    /// What became of the registration; nil: it is registered. Upstream: RegistrationStatus.
    static func status(error: String?) -> [UInt8] { ProtobufFields.field(1, error == nil) + (error.map { ProtobufFields.field(2, $0) } ?? []) }
}
