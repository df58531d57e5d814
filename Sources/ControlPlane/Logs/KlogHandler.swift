internal import KubeAPI
internal import Logging

/// Hands a component's log on as before, and to the cluster's user in the form of Kubernetes' own logs while they are switched on. What is `debug`
/// here is verbosity 2 there, which is EKS's. Upstream: k8s.io/klog/v2, text format.
struct KlogHandler: LogHandler {
    private var base: any LogHandler
    private let type: ControlPlaneLogType
    private let logs: ControlPlaneLogs

    init(_ base: any LogHandler, _ type: ControlPlaneLogType, _ logs: ControlPlaneLogs) {
        self.base = base
        self.type = type
        self.logs = logs
    }

    var logLevel: Logger.Level {
        get { logs.isOn(type) ? min(base.logLevel, .debug) : base.logLevel }
        set { base.logLevel = newValue }
    }
    var metadata: Logger.Metadata {
        get { base.metadata }
        set { base.metadata = newValue }
    }
    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { base[metadataKey: key] }
        set { base[metadataKey: key] = newValue }
    }

    func log(event: LogEvent) {
        if event.level >= base.logLevel { base.log(event: event) }
        guard event.level >= .debug else { return }
        var fields = event.metadata ?? [:]
        if let error = event.error { fields["err"] = "\(error)" }
        logs.write(
            type,
            Self.line(
                level: event.level, message: "\(event.message)", fields: fields.mapValues { "\($0)" }, file: event.file, line: Int(event.line),
                now: .now))
    }

    /// `I1128 20:29:57.123456       1 Scheduler.swift:123] "Message" key="value"`
    static func line(level: Logger.Level, message: String, fields: [String: String], file: String, line: Int, now: Timestamp) -> String {
        let severity =
            switch level {
            case .trace, .debug, .info, .notice: "I"
            case .warning: "W"
            case .error: "E"
            case .critical: "F"
            }
        // `2026-11-28T20:29:57.123456Z`
        let moment = Array(now.rfc3339Micro.utf8)
        func text(_ range: Range<Int>) -> String { String(decoding: moment.indices.contains(range.upperBound) ? moment[range] : [], as: UTF8.self) }
        let name = file.split(separator: "/").last ?? ""
        var result = "\(severity)\(text(5..<7))\(text(8..<10)) \(text(11..<26))       1 \(name):\(line)] \(message.goQuoted)"
        for (key, value) in fields.sorted(by: { $0.key < $1.key }) { result += " \(key)=\(value.goQuoted)" }
        return result
    }
}

extension ControlPlaneLogs {
    /// A component's logger whose lines also go to its log type.
    func logger(_ label: String, _ type: ControlPlaneLogType) -> Logger {
        let base = Logger(label: label).handler
        return Logger(label: label) { _ in KlogHandler(base, type, self) }
    }
}
