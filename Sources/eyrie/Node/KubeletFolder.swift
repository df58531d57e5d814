import Glibc
import Kubelet
import Logging
import Machines
import Processes

/// The folder where device plug-ins and CSI drivers look for the agent. They have its path built in, and name pods' volumes by it, so the machine's
/// own folder is mounted there, within the machine alone.
enum KubeletFolder {
    /// Upstream: the kubelet's default root directory.
    private static let path = "/var/lib/kubelet"

    /// Never the host's own folder, whose plug-ins serve another agent.
    private static func isSame(_ a: String, _ b: String) -> Bool {
        var (one, other) = (stat(), stat())
        return stat(a, &one) == 0 && stat(b, &other) == 0 && one.st_dev == other.st_dev && one.st_ino == other.st_ino
    }

    /// Has the kubelet work there; where the folder cannot be had, it works in the machine's own, and no plug-ins can register.
    static func prepare(_ paths: MachinePaths, _ configuration: inout KubeletConfiguration) async {
        do {
            try await Command.run(["mkdir", "-p", "\(paths.kubelet)/device-plugins", "\(paths.kubelet)/plugins_registry", path])
            // An agent that starts again finds it mounted. Mounts of an older agent's volumes come along.
            if !isSame(paths.kubelet, path) { try await Command.run(["mount", "--rbind", paths.kubelet, path]) }
            guard isSame(paths.kubelet, path) else { return }
            configuration.rootDirectory = path
            configuration.devicePluginPath = "\(path)/device-plugins"
            configuration.pluginRegistryPath = "\(path)/plugins_registry"
        } catch {
            Logger(label: "eyrie.node").warning("no folder for plug-ins", metadata: ["path": "\(path)", "error": "\(error)"])
        }
    }
}
