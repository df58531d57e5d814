internal import Certificates
package import HTTPTransport
internal import KubeAPI
package import KubeClient

/// Has a new key certified by a CertificateSigningRequest, as whoever its client is. Upstream: manager.rotateCerts with csr.RequestCertificate.
package struct CertificateRequester: Sendable {
    /// A request that nobody signs. Upstream: certificateWaitTimeout.
    package static let standardPatience = Duration.seconds(900)
    /// Between watches that end.
    private static let pause = Duration.seconds(2)

    /// Why there is no certificate.
    package struct NotIssued: Error, CustomStringConvertible {
        package var description: String
    }

    private let client: KubeClient
    private let patience: Duration
    private let clock: any Clock<Duration>

    /// `patience` is how long a request may wait for its certificate.
    package init(client: KubeClient, patience: Duration = Self.standardPatience, clock: any Clock<Duration> = ContinuousClock()) {
        self.client = client
        self.patience = patience
        self.clock = clock
    }

    /// A new key with its certificate. Throws `NotIssued` for a request that is refused or that nobody signs, and what the API server answers.
    package func certify(_ template: CertificateTemplate) async throws -> TLSIdentity {
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
                    try await clock.sleep(for: Self.pause)
                }
            }
            group.addTask {
                try await clock.sleep(for: patience)
                throw NotIssued(description: "request \(name) was not signed within \(patience)")
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
