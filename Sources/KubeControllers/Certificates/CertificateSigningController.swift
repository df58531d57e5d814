import Certificates
import KubeAPI
import KubeClient
import Logging

/// Signs approved requests of the cluster's own signers with its authority. Upstream: pkg/controller/certificates/signer.
final class CertificateSigningController: Controller {
    let name = "certificatesigningrequest-signing-controller"
    private static let workers = 5
    /// Upstream: the least spec.expirationSeconds that counts.
    private static let shortest: Int64 = 600
    /// Clocks of others may be behind. Upstream: the signer's backdate.
    private static let backdating: Int64 = 300

    private let environment: ControllerEnvironment
    private let requests: SharedInformer
    private let queue: WorkQueue<String>
    private var client: KubeClient { environment.client }

    init(_ environment: ControllerEnvironment) {
        self.environment = environment
        requests = environment.informers.informer(for: .certificateSigningRequests)
        queue = environment.queue("certificate")
        let queue = queue
        requests.addHandler(InformerHandler(added: { queue.add($0.metadata.name) }, updated: { queue.add($1.metadata.name) }))
    }

    func run() async throws {
        try await requests.waitForSync()
        guard let authority = environment.configuration.certificateAuthority else { return }
        await queue.run(workers: Self.workers, logger: environment.logger) { try await self.sync($0, authority) }
    }

    private func sync(_ name: String, _ authority: CertificateAuthority) async throws {
        guard let object = requests.indexer.get(name) else { return }
        let view = CertificateRequestView(object)
        guard view.isApproved, !view.hasCertificate, !view.has("Failed"), SignerRules.all.contains(view.signerName) else { return }
        let tree = try Self.signed(view, authority, longest: environment.configuration.signingDuration, now: environment.now())
        do {
            try await client.updateStatus(.certificateSigningRequests, tree)
        } catch let error as StatusError where error.isNotFound || error.isConflict {
            // A newer version of it brings the key back.
        }
    }

    /// The request with its certificate, of `longest` seconds at most, or with the condition Failed. Throws what the authority throws.
    static func signed(
        _ view: CertificateRequestView, _ authority: CertificateAuthority, longest: Int64 = 365 * 86400, now: Timestamp
    ) throws -> Value {
        let request: SigningRequest
        do { request = try view.signingRequest() } catch {
            return view.adding(
                "Failed", reason: "SignerValidationFailure", message: "unable to parse csr \(view.meta.name.goQuoted): \(error)", now: now)
        }
        if let problem = SignerRules.problem(request, signer: view.signerName, usages: view.usages) {
            return view.adding("Failed", reason: "SignerValidationFailure", message: problem, now: now)
        }
        let isServer = view.usages.contains("server auth")
        let isClient = view.usages.contains("client auth")
        let seconds = min(longest, max(shortest, view.expirationSeconds ?? longest))
        // A short-lived certificate is backdated less, so that it lives as long as was asked.
        let validity = CertificateValidity(notBefore: now.seconds - min(backdating, seconds / 8), notAfter: now.seconds + seconds)
        let leaf = LeafRequest(
            commonName: request.commonName, organizations: request.organizations, dnsNames: request.dnsNames,
            ipAddresses: request.ipAddresses.compactMap(Self.text), usage: isServer && isClient ? .both : isServer ? .server : .client,
            validity: validity)
        var tree = view.object.value
        tree[path: "status", "certificate"] = .string(Base64.encode(Array(try authority.certify(request, leaf).utf8)))
        return tree
    }

    /// An address as text; nil for other lengths than 4 and 16 bytes.
    private static func text(_ address: [UInt8]) -> String? {
        switch address.count {
        case 4: return address.map(String.init).joined(separator: ".")
        case 16:
            return stride(from: 0, to: 16, by: 2).map { String(UInt16(address[$0]) << 8 | UInt16(address[$0 + 1]), radix: 16) }.joined(separator: ":")
        default: return nil
        }
    }
}
