internal import KubeAPIServer

/// Audit events for the cluster's user: one JSON object a line, as audit.k8s.io/v1 has it.
struct AuditLogSink: AuditSink {
    let logs: ControlPlaneLogs

    func accept(_ line: [UInt8]) -> Bool {
        logs.write(.audit, String(decoding: line.last == 0x0A ? line.dropLast() : line[...], as: UTF8.self))
    }

    /// The logs are closed with the control plane.
    func close() async {}
}
