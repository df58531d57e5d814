import Certificates
import KubeAPI
import KubeClient
import Logging

/// Approves kubelets' requests for client certificates, where their makers may have them. Upstream: pkg/controller/certificates/approver.
final class CertificateApprovingController: Controller {
    let name = "certificatesigningrequest-approving-controller"
    private static let workers = 5

    /// A kind of request that is approved by itself.
    struct Recognizer: Sendable {
        var subresource: String
        var message: String

        static let selfNode = Recognizer(
            subresource: "selfnodeclient", message: "Auto approving self kubelet client certificate after SubjectAccessReview.")
        static let node = Recognizer(subresource: "nodeclient", message: "Auto approving kubelet client certificate after SubjectAccessReview.")
    }

    /// Recognised, but not allowed (yet): asked again, as roles may come.
    private struct NotAllowed: Error, CustomStringConvertible {
        var description: String
    }

    private let environment: ControllerEnvironment
    private let requests: SharedInformer
    private let queue: WorkQueue<String>
    private var client: KubeClient { environment.client }

    init(_ environment: ControllerEnvironment) {
        self.environment = environment
        requests = environment.informers.informer(for: .certificateSigningRequests)
        queue = environment.queue("certificate-approving", backoff: .init(first: .milliseconds(200), limit: .seconds(1000)))
        let queue = queue
        requests.addHandler(InformerHandler(added: { queue.add($0.metadata.name) }, updated: { queue.add($1.metadata.name) }))
    }

    func run() async throws {
        try await requests.waitForSync()
        await queue.run(workers: Self.workers, logger: environment.logger) { try await self.sync($0) }
    }

    /// The recognisers that fit a request, the stricter first.
    static func recognizers(_ view: CertificateRequestView) -> [Recognizer] {
        guard view.signerName == SignerRules.kubeletClient, let request = try? view.signingRequest(),  // What cannot be read is nobody's to approve.
            SignerRules.kubeletClientProblem(request, view.usages) == nil
        else { return [] }
        return request.commonName == view.username ? [.selfNode, .node] : [.node]
    }

    private func sync(_ name: String) async throws {
        guard let object = requests.indexer.get(name) else { return }
        let view = CertificateRequestView(object)
        guard !view.hasCertificate, !view.isDecided else { return }
        let recognizers = Self.recognizers(view)
        for recognizer in recognizers where try await isAllowed(view, recognizer) {
            let tree = view.adding("Approved", reason: "AutoApproved", message: recognizer.message, now: environment.now())
            do {
                try await client.update(.certificateSigningRequests, tree, subresource: "approval")
            } catch let error as StatusError where error.isNotFound || error.isConflict {
                // Gone, or changed: the change brings the key back.
            }
            return
        }
        if !recognizers.isEmpty {
            let tried = recognizers.map(\.subresource).joined(separator: " ")
            throw NotAllowed(description: "recognized csr \(name.goQuoted) as [\(tried)] but subject access review was not approved")
        }
    }

    private func isAllowed(_ view: CertificateRequestView, _ recognizer: Recognizer) async throws -> Bool {
        let spec = view.object["spec"]
        var asked: Value = [
            "user": .string(view.username),
            "resourceAttributes": [
                "group": "certificates.k8s.io", "resource": "certificatesigningrequests", "verb": "create",
                "subresource": .string(recognizer.subresource), "version": "*",
            ],
        ]
        for field in ["uid", "groups", "extra"] { asked[field] = spec[field].value }
        let review: Value = ["apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "metadata": [:], "spec": asked]
        return try await client.create(.subjectAccessReviews, review)["status"]["allowed"].bool == true
    }
}
