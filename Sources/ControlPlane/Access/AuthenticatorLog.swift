internal import KubeAPI
internal import Synchronization

/// A line of a cluster's authenticator: who came, and as whom he was let in, or why not. Upstream: aws-iam-authenticator's log, in logrus' text form,
/// which EKS delivers to CloudWatch as the log type `authenticator`.
package struct AuthenticatorLine: Sendable, Equatable {
    package enum Level: String, Sendable {
        case info
        case warning
        case error
    }

    /// `2026-11-28T19:20:36Z`
    package var time: String
    package var level: Level
    package var message: String
    package var fields: [String: String]

    init(_ level: Level, _ message: String, _ fields: [String: String] = [:]) {
        time = Timestamp.now.rfc3339
        self.level = level
        self.message = message
        self.fields = fields
    }

    /// `time="…" level=info msg="access granted" arn="…" …`, without a line's end. Values with anything but letters, digits and `-._/@^+` are quoted,
    /// so a line is one line whatever a session is called.
    package var text: String {
        let pairs = [("time", time), ("level", level.rawValue), ("msg", message)] + fields.sorted { $0.key < $1.key }.map { ($0.key, $0.value) }
        return pairs.map { "\($0.0)=\(Self.quoted($0.1))" }.joined(separator: " ")
    }

    private static func quoted(_ text: String) -> String {
        let isPlain =
            !text.isEmpty
            && text.utf8.allSatisfy { byte in
                (0x30...0x39).contains(byte) || (0x41...0x5A).contains(byte) || (0x61...0x7A).contains(byte) || "-._/@^+".utf8.contains(byte)
            }
        return isPlain ? text : text.goQuoted
    }
}

/// Where a cluster's authenticator writes: nowhere, until somebody takes its lines.
package final class AuthenticatorLog: Sendable {
    private let sink = Mutex<(@Sendable (AuthenticatorLine) -> Void)?>(nil)

    package init() {}

    /// Gives all lines from now on to `write`, which must not block; nil: to nobody.
    package func deliver(to write: (@Sendable (AuthenticatorLine) -> Void)?) { sink.withLock { $0 = write } }

    func write(_ line: @autoclosure () -> AuthenticatorLine) {
        guard let write = sink.withLock({ $0 }) else { return }
        write(line())
    }
}
