import Glibc
import KubeAPI
import Logging

/// Writes logs as lines of `time level label message key=value` to standard error.
struct LineLog: LogHandler {
    var metadata: Logger.Metadata = [:]
    var logLevel = Logger.Level.info
    private let label: String

    init(_ label: String) { self.label = label }

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
        var text = "\(Timestamp.now.rfc3339Micro) \(event.level.rawValue.uppercased()) \(label): \(event.message)"
        var fields = metadata.merging(event.metadata ?? [:], uniquingKeysWith: { $1 })
        if let error = event.error { fields["error"] = "\(error)" }
        for (key, value) in fields.sorted(by: { $0.key < $1.key }) { text += " \(key)=\(value)" }
        let bytes = Array((text + "\n").utf8)
        _ = write(2, bytes, bytes.count)  // One write a line keeps lines of threads apart; nowhere to say that standard error is closed.
    }
}
