import Glibc
import Logging
import Machines
import Processes

/// The folder where device plug-ins look for the agent. Plug-ins have its path built in, so the machine's own folder is mounted there, within the
/// machine alone.
enum DevicePluginFolder {
    /// Upstream: pluginapi.DevicePluginPath.
    private static let path = "/var/lib/kubelet/device-plugins"

    /// Never the host's own folder, whose plug-ins serve another agent.
    private static func isSame(_ a: String, _ b: String) -> Bool {
        var (one, other) = (stat(), stat())
        return stat(a, &one) == 0 && stat(b, &other) == 0 && one.st_dev == other.st_dev && one.st_ino == other.st_ino
    }

    /// The folder; nil where it cannot be had, and the node then has no devices.
    static func prepare(_ paths: MachinePaths) async -> String? {
        do {
            let own = "\(paths.kubelet)/device-plugins"
            try await Command.run(["mkdir", "-p", own, path])
            // An agent that starts again finds it mounted.
            if !isSame(own, path) { try await Command.run(["mount", "--bind", own, path]) }
            return isSame(own, path) ? path : nil
        } catch {
            Logger(label: "eyrie.node").warning("no folder for device plug-ins", metadata: ["path": "\(path)", "error": "\(error)"])
            return nil
        }
    }
}
