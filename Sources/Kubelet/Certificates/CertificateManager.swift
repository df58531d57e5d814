internal import Certificates
package import HTTPTransport
package import KubeAPI
package import KubeClient
package import Logging

/// Keeps one of a node's certificates young: between 70 and 90 % of its life it asks for another by a CertificateSigningRequest, with a new key.
/// Upstream: client-go/util/certificate.manager.
package struct CertificateManager: Sendable {
    /// A request that nobody signs. Upstream: certificateWaitTimeout.
    private static let patience = Duration.seconds(900)
    /// Between attempts: first and longest pause.
    private static let firstPause = Duration.seconds(2)
    private static let longestPause = Duration.seconds(300)

    /// Why there is no certificate.
    struct NotIssued: Error, CustomStringConvertible {
        var description: String
    }

    private let template: CertificateTemplate
    private let client: KubeClient
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
        self.client = client
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
                try await rotated(try await certify())
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

    /// A new key with its certificate. Throws what keeps it from being issued. Upstream: manager.rotateCerts with csr.RequestCertificate.
    private func certify() async throws -> TLSIdentity {
        let request = try KeyRequest(
            commonName: template.commonName, organizations: template.organizations, dnsNames: template.dnsNames, ipAddresses: template.ipAddresses)
        let created = try await client.create(
            .certificateSigningRequests,
            [
                "apiVersion": "certificates.k8s.io/v1", "kind": "CertificateSigningRequest", "metadata": ["generateName": "csr-"],
                "spec": [
                    "request": .string(Base64.encode(Array(request.requestPEM.utf8))), "signerName": .string(template.signerName),
                    "usages": Value(template.usages),
                ],
            ])
        let certificate = try await issued(created.metadata.name)
        // A certificate that cannot be read is none.
        _ = try CertificateSubject.read(pem: certificate)
        return TLSIdentity(certificateChainPEM: certificate, privateKeyPEM: request.privateKeyPEM)
    }

    /// Waits for the certificate of a request. Upstream: csr.WaitForCertificate.
    private func issued(_ name: String) async throws -> String {
        try await withThrowingTaskGroup(of: String.self) { group in
            group.addTask {
                let selecting = ListOptions(fieldSelector: "metadata.name=\(name)")
                while true {
                    for try await event in try await client.watch(.certificateSigningRequests, options: selecting) {
                        if let certificate = try Self.outcome(event.object) { return certificate }
                    }
                    // The watch's time was up.
                    try await clock.sleep(for: Self.firstPause)
                }
            }
            group.addTask {
                try await clock.sleep(for: Self.patience)
                throw NotIssued(description: "request \(name) was not signed within \(Self.patience)")
            }
            defer { group.cancelAll() }
            return try await group.next() ?? ""
        }
    }

    /// The certificate in PEM; nil while nobody has decided. Throws `NotIssued` for a request that is refused.
    static func outcome(_ request: Object) throws -> String? {
        for condition in request["status"]["conditions"].elements where ["Denied", "Failed"].contains(condition["type"].string ?? "") {
            throw NotIssued(
                description: "request \(request.metadata.name) is \(condition["type"].string ?? ""): \(condition["message"].string ?? "")")
        }
        guard let text = request["status"]["certificate"].string, let bytes = Base64.decode(text) else { return nil }
        return String(decoding: bytes, as: UTF8.self)
    }
}
