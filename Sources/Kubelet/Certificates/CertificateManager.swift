internal import Certificates
package import HTTPTransport
package import KubeAPI
package import KubeClient
package import Logging

/// Keeps one of a node's certificates young: between 70 and 90 % of its life it asks for another by a CertificateSigningRequest, with a new key.
/// Upstream: client-go/util/certificate.manager.
package struct CertificateManager: Sendable {
    /// Between attempts: first and longest pause.
    private static let firstPause = Duration.seconds(2)
    private static let longestPause = Duration.seconds(300)

    private let template: CertificateTemplate
    private let requester: CertificateRequester
    private let current: @Sendable () async -> TLSIdentity?
    private let rotated: @Sendable (TLSIdentity) async throws -> Void
    private let now: @Sendable () -> Timestamp
    private let clock: any Clock<Duration>
    private let logger: Logger

    /// `client` asks as the identity itself. `current`: what is in use; nil ends the manager. `rotated` takes the new one into use.
    package init(
        _ template: CertificateTemplate, client: KubeClient, current: @escaping @Sendable () async -> TLSIdentity?,
        rotated: @escaping @Sendable (TLSIdentity) async throws -> Void, clock: any Clock<Duration> = ContinuousClock(),
        now: @escaping @Sendable () -> Timestamp = { .now }, logger: Logger
    ) {
        self.template = template
        requester = CertificateRequester(client: client, clock: clock)
        self.current = current
        self.rotated = rotated
        self.clock = clock
        self.now = now
        self.logger = logger
    }

    /// When a certificate is to be replaced, in seconds since 1970: `jitter` from 0 to 1 spreads the nodes. Upstream: manager.nextRotationDeadline.
    static func deadline(notBefore: Int64, notAfter: Int64, jitter: Double) -> Double {
        Double(notBefore) + Double(notAfter - notBefore) * (0.7 + 0.2 * jitter)
    }

    /// Runs until the task is cancelled.
    package func run() async {
        var pause = Self.firstPause
        while !Task.isCancelled {
            guard let identity = await current() else { return }
            let jitter = Double.random(in: 0...1)
            // One that cannot be read is due.
            let deadline = (try? CertificateSubject.read(pem: identity.certificateChainPEM)).map {
                Self.deadline(notBefore: $0.notBefore, notAfter: $0.notAfter, jitter: jitter)
            }
            do {
                let wait = (deadline ?? 0) - Double(now().microseconds) / 1e6
                if wait > 0 {
                    try await clock.sleep(for: .milliseconds(Int64(min(wait, 1e9) * 1000)))
                    // The service may have given it another meanwhile.
                    guard await current() == identity else { continue }
                }
                try await rotated(try await requester.certify(template))
                logger.info("certificate rotated", metadata: ["certificate": "\(template.name)"])
                pause = Self.firstPause
            } catch {
                guard !Task.isCancelled else { return }
                logger.error("certificate not rotated; it is tried again", metadata: ["certificate": "\(template.name)", "error": "\(error)"])
                do { try await clock.sleep(for: pause) } catch { return }  // Cancelled.
                pause = min(pause * 2, Self.longestPause)
            }
        }
    }
}
