import ContainerRuntime
import KubeAPI

/// The last words of an ended container. Upstream: getTerminationMessage.
enum TerminationMessage {
    /// Bytes of a message, and lines of a log that stand in for it. Upstream: MaxContainerTerminationMessageLength and its log limits.
    static let limit = 4096
    static let logLimit = 2048
    static let logLines = 80

    /// Blocks. Empty when there is none.
    static func read(_ status: RuntimeContainerStatus) -> String {
        let path = status.annotations[ContainerLabels.terminationMessagePath] ?? ""
        if !path.isEmpty, let mount = status.mounts.first(where: { $0.containerPath == path }) {
            // Unreadable means that there is no message: the container may have removed it.
            let bytes = (try? FileTree.read(mount.hostPath, limit: limit)) ?? []
            if !bytes.isEmpty { return String(decoding: bytes.prefix(limit), as: UTF8.self) }
        }
        guard status.annotations[ContainerLabels.terminationMessagePolicy] == "FallbackToLogsOnError", status.exitCode != 0, !status.logPath.isEmpty,
            let log = try? LogReader.tail(status.logPath, lines: logLines)  // No log, no message.
        else { return "" }
        return String(decoding: log.suffix(logLimit), as: UTF8.self)
    }
}
