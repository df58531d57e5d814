import HTTPTransport
import KubeAPI
import Synchronization

/// A registered driver. Upstream: csi.Driver and csiDriverClient.
struct CSIPlugin: Sendable {
    /// Upstream: csiTimeout.
    static let callTimeout = Duration.seconds(120)

    let name: String
    let channel: GRPCChannel
    let capabilities: Set<CSICapability>

    /// Calls the driver's node service (`NodeStageVolume`). Throws `GRPCError`.
    @discardableResult
    func call(_ method: String, _ message: [UInt8], timeout: Duration = callTimeout) async throws -> [UInt8] {
        try await channel.unary(CSIMessages.service + method, message, timeout: timeout)
    }

    /// Upstream: google.golang.org/grpc/codes, by number.
    private static let codes = [
        "OK", "Canceled", "Unknown", "InvalidArgument", "DeadlineExceeded", "NotFound", "AlreadyExists", "PermissionDenied", "ResourceExhausted",
        "FailedPrecondition", "Aborted", "OutOfRange", "Unimplemented", "Internal", "Unavailable", "DataLoss", "Unauthenticated",
    ]

    /// An error as users of other kubelets know it.
    static func text(_ error: any Error) -> String {
        guard let error = error as? GRPCError else { return "\(error)" }
        let code = codes.indices.contains(error.code) ? codes[error.code] : "Code(\(error.code))"
        return "rpc error: code = \(code) desc = \(error.message)"
    }

    /// Whether a failed call surely did nothing, so that nothing is left to undo. Upstream: isFinalError.
    static func isFinal(_ error: any Error) -> Bool {
        guard let error = error as? GRPCError else { return false }
        // Aborted: another call for the volume is on its way.
        let aborted = 10
        let uncertain = [GRPCError.cancelled, GRPCError.deadlineExceeded, GRPCError.unavailable, GRPCError.resourceExhausted, aborted]
        return !uncertain.contains(error.code)
    }
}

/// The drivers that are registered on this node. Upstream: csi.DriversStore.
final class CSIPlugins: Sendable {
    private let plugins = Mutex<[String: CSIPlugin]>([:])

    /// Throws `VolumeError`, in upstream's words, for one that is not registered.
    func plugin(_ name: String) throws(VolumeError) -> CSIPlugin {
        guard let plugin = plugins.withLock({ $0[name] }) else {
            throw VolumeError("driver name \(name) not found in the list of registered CSI drivers")
        }
        return plugin
    }

    /// Returns the driver of that name before.
    func set(_ plugin: CSIPlugin) -> CSIPlugin? { plugins.withLock { $0.updateValue(plugin, forKey: plugin.name) } }
    func remove(_ name: String) -> CSIPlugin? { plugins.withLock { $0.removeValue(forKey: name) } }
}
