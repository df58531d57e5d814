import Certificates
import KubeAPI
import KubeClient
import Logging

/// Removes requests that are decided, forgotten or run out. Upstream: pkg/controller/certificates/cleaner.
final class CertificateCleanerController: Controller {
    let name = "certificatesigningrequest-cleaner-controller"
    private static let workers = 1
    /// Seconds that a request is kept: after its certificate was issued, it was denied or it failed; and when nobody decides.
    private static let decided: Int64 = 3600
    private static let pending: Int64 = 86400

    private let environment: ControllerEnvironment
    private let requests: SharedInformer
    private let queue: WorkQueue<String>

    init(_ environment: ControllerEnvironment) {
        self.environment = environment
        requests = environment.informers.informer(for: .certificateSigningRequests)
        queue = environment.queue("certificate-cleaner")
        let queue = queue
        requests.addHandler(InformerHandler(added: { queue.add($0.metadata.name) }, updated: { queue.add($1.metadata.name) }))
    }

    func run() async throws {
        try await requests.waitForSync()
        await queue.run(workers: Self.workers, logger: environment.logger) { name in
            guard let object = self.requests.indexer.get(name) else { return }
            let left = Self.end(of: CertificateRequestView(object)).timeInterval(since: self.environment.now())
            guard left <= 0 else { return self.queue.addAfter(name, .fromSeconds(left + 0.001)) }
            let options = DeleteOptions(preconditionUID: object.metadata.uid)
            do {
                try await self.environment.client.delete(.certificateSigningRequests, name: name, options: options)
            } catch let error as StatusError where error.isNotFound || error.isConflict {}
        }
    }

    /// When a request is no longer of use to anybody.
    static func end(of view: CertificateRequestView) -> Timestamp {
        let created = view.meta.creationTimestamp ?? Timestamp(seconds: 0)
        var ends: [Timestamp] = []
        for type in ["Denied", "Failed"] { if let time = view.updated(type) { ends.append(time.adding(seconds: decided)) } }
        if view.hasCertificate {
            ends.append((view.updated("Approved") ?? created).adding(seconds: decided))
            let pem = String(decoding: Base64.decode(view.object["status"]["certificate"].string ?? "") ?? [], as: UTF8.self)
            // A certificate that cannot be read does not run out; the other ends count.
            if let subject = try? CertificateSubject.read(pem: pem) { ends.append(Timestamp(seconds: subject.notAfter)) }
        } else {
            ends.append(created.adding(seconds: pending))
        }
        return ends.min() ?? created
    }
}
