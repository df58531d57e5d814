import KubeAPI
package import KubeClient
package import Logging
internal import Synchronization

/// Gives Ingresses of class `alb` their load balancers, and takes them away. Upstream: aws-load-balancer-controller
/// controllers/ingress.groupReconciler; EKS Auto Mode has it built in.
///
/// All balancers of a cluster are one proxy's, so one pass looks at all groups: models, addresses, one deployment, then what each Ingress is told.
package final class IngressController: Sendable {
    private static let key = "ingresses"
    private static let serviceIndex = "ingress-service"
    private static let serviceLabel = "kubernetes.io/service-name"
    /// Changes that come together are deployed together.
    private static let pause = Duration.milliseconds(100)

    /// What the last pass looked at: other Services, Secrets and nodes change nothing.
    private struct Interest {
        var services: Set<String> = []
        var secrets: Set<String> = []
        var hasGroups = false
    }

    /// What was said of an Ingress last, so that it is not said again.
    private struct Told: Equatable {
        var generation: Int64
        var annotations: [String: String]
        var trouble: String?
    }

    private let client: KubeClient
    private let provider: any IngressProvider
    private let ingresses: SharedInformer
    private let classes: SharedInformer
    private let services: SharedInformer
    private let slices: SharedInformer
    private let secrets: SharedInformer
    private let nodes: SharedInformer
    private let queue: WorkQueue<String>
    private let recorder: EventRecorder
    private let logger: Logger
    private let interest = Mutex(Interest())
    private let told = Mutex<[String: Told]>([:])

    /// `informers` are shared ones that the caller runs.
    package init(
        client: KubeClient, provider: any IngressProvider, informers: InformerFactory, clock: any Clock<Duration> = ContinuousClock(),
        logger: Logger = Logger(label: "ingress-controller")
    ) {
        self.client = client
        self.provider = provider
        self.logger = logger
        ingresses = informers.informer(for: .ingresses)
        classes = informers.informer(for: .ingressClasses)
        services = informers.informer(for: .services)
        slices = informers.informer(for: .endpointSlices)
        secrets = informers.informer(for: .secrets, fieldSelector: "type=kubernetes.io/tls")
        nodes = informers.informer(for: .nodes)
        queue = WorkQueue(name: "ingress", backoff: .init(first: .milliseconds(200), limit: .seconds(300)), clock: clock)
        recorder = EventRecorder(client: client, component: "ingress", clock: clock, logger: logger)
        slices.addIndex(Self.serviceIndex) { [Self.service(of: $0)] }
        follow()
    }

    private static func service(of slice: Object) -> String {
        "\(slice.metadata.namespace)/\(slice["metadata"]["labels"][serviceLabel].string ?? "")"
    }

    private func follow() {
        let wake: @Sendable () -> Void = { [queue] in queue.addAfter(Self.key, Self.pause) }
        ingresses.addHandler(.any { _ in wake() })
        classes.addHandler(.any { _ in wake() })
        services.addHandler(.any { [weak self] service in if self?.isOfInterest(service: service.metadata.key) == true { wake() } })
        slices.addHandler(.any { [weak self] slice in if self?.isOfInterest(service: Self.service(of: slice)) == true { wake() } })
        secrets.addHandler(
            .any { [weak self] secret in if self?.interest.withLock({ $0.secrets.contains(secret.metadata.key) }) == true { wake() } })
        let nodes: @Sendable () -> Void = { [weak self] in if self?.interest.withLock(\.hasGroups) == true { wake() } }
        self.nodes.addHandler(
            InformerHandler(
                added: { _ in nodes() },
                updated: { old, new in if LoadBalancerPlan.isUsable(old) != LoadBalancerPlan.isUsable(new) { nodes() } }, deleted: { _ in nodes() }))
    }

    private func isOfInterest(service key: String) -> Bool { interest.withLock { $0.services.contains(key) } }

    /// Runs until the task is cancelled. Run once.
    package func run() async {
        await withDiscardingTaskGroup { group in
            group.addTask { await self.recorder.run() }
            group.addTask {
                do {
                    for informer in [self.ingresses, self.classes, self.services, self.slices, self.secrets, self.nodes] {
                        try await informer.waitForSync()
                    }
                } catch { return }  // Only cancellation ends the wait early.
                // Also without an Ingress: a proxy may be left from an earlier life.
                self.queue.add(Self.key)
                await self.queue.run(workers: 1, logger: self.logger) { _ in try await self.sync() }
            }
        }
    }

    // MARK: - A pass

    private func sync() async throws {
        let all = ingresses.indexer.list()
        let sorting = IngressSorting(classes: Dictionary(classes.indexer.list().map { ($0.metadata.name, $0) }, uniquingKeysWith: { a, _ in a }))
        tellMisnamed(all, sorting)
        let groups = sorting.groups(all)
        // Before the caches are read, so that no change is missed.
        interest.withLock { $0 = Self.interest(in: groups) }
        forget(all)

        var pass = IngressPass()
        let builder = IngressModelBuilder(facts: facts())
        for group in groups where !group.members.isEmpty || group.trouble != nil {
            do throws(IngressModelError) {
                pass.wanted[group.id.name] = try builder.build(group)
            } catch {
                // What is there stays as it is, as AWS's balancer would.
                pass.keeping.insert(group.id.name)
                tell(group, trouble: "FailedBuildModel", "Failed build model due to \(error)")
            }
        }
        try await deploy(pass, groups)
    }

    private func deploy(_ pass: IngressPass, _ groups: [IngressGroup]) async throws {
        var pass = pass
        var failure: (any Error)?
        for group in groups where pass.wanted[group.id.name] != nil {
            guard let balancer = pass.wanted[group.id.name] else { continue }
            do {
                try await provider.check()
                for member in group.members { try await remember(group.id, member.ingress) }
                pass.addresses[balancer.id] = try await provider.address(
                    of: balancer.id, name: balancer.name ?? balancer.id, tags: balancer.tags)
            } catch is CancellationError {
                throw CancellationError()
            } catch {
                failure = error
                pass.wanted[balancer.id] = nil
                pass.keeping.insert(balancer.id)
                tell(group, trouble: "FailedDeployModel", "Failed deploy model due to \(Self.text(error))")
            }
        }
        let troubles: [String: String]
        do { troubles = try await provider.deploy(pass.parts, addresses: pass.addresses, keeping: pass.keeping) } catch {
            for group in groups where pass.wanted[group.id.name] != nil {
                tell(group, trouble: "FailedDeployModel", "Failed deploy model due to \(Self.text(error))")
            }
            throw error
        }
        let members = Set(groups.flatMap(\.members).map(\.ingress.metadata.uid))
        for group in groups where !pass.keeping.contains(group.id.name) {
            do {
                if let trouble = troubles[group.id.name] {
                    tell(group, trouble: "FailedDeployModel", "Failed deploy model due to \(trouble)")
                } else {
                    try await finish(group, address: pass.addresses[group.id.name], members)
                }
            } catch { failure = error }
        }
        if let failure { throw failure }
        if let trouble = troubles.min(by: { $0.key < $1.key }) { throw IngressModelError("\(trouble.key): \(trouble.value)") }
    }

    /// Tells the members where they are served, and lets those go that have left. `members` are the uids of those of all groups.
    private func finish(_ group: IngressGroup, address: String?, _ members: Set<String>) async throws {
        if let address {
            for member in group.members {
                try await writeStatus(member.ingress, address)
                tellSuccess(member.ingress)
            }
        }
        if group.members.isEmpty, group.trouble == nil { try await provider.release(group.id.name) }
        for ingress in group.leaving {
            if !ingress.metadata.isBeingDeleted, !members.contains(ingress.metadata.uid) { try await writeStatus(ingress, nil) }
            try await forget(group.id, ingress)
        }
    }

    private func facts() -> IngressFacts {
        IngressFacts(
            service: { [services] in services.indexer.get($0) }, slices: { [slices] in slices.indexer.byIndex(Self.serviceIndex, $0) },
            secret: { [secrets] in secrets.indexer.get($0) }, nodes: nodes.indexer.list())
    }

    /// The Services and Secrets that Ingresses name, there or not.
    private static func interest(in groups: [IngressGroup]) -> Interest {
        var interest = Interest()
        for ingress in groups.flatMap(\.members).map(\.ingress) {
            interest.hasGroups = true
            for name in IngressReferences.services(ingress) { interest.services.insert("\(ingress.metadata.namespace)/\(name)") }
            for tls in ingress["spec"]["tls"].elements {
                if let name = tls["secretName"]?.string { interest.secrets.insert("\(ingress.metadata.namespace)/\(name)") }
            }
        }
        return interest
    }

    // MARK: - What is written

    /// First, so that a balancer is never without somebody who remembers it.
    private func remember(_ id: GroupID, _ ingress: Object) async throws {
        let finalizers = ingress.metadata.finalizers
        if !finalizers.contains(id.finalizer) { try await setFinalizers(ingress, finalizers + [id.finalizer]) }
    }

    private func forget(_ id: GroupID, _ ingress: Object) async throws {
        try await setFinalizers(ingress, ingress.metadata.finalizers.filter { $0 != id.finalizer })
    }

    private func setFinalizers(_ ingress: Object, _ finalizers: [String]) async throws {
        do {
            try await client.patch(
                .ingresses, namespace: ingress.metadata.namespace, name: ingress.metadata.name, type: .merge,
                ["metadata": ["resourceVersion": .string(ingress.metadata.resourceVersion), "finalizers": Value(finalizers)]])
        } catch let error as StatusError where error.isNotFound {}
    }

    /// Nil: it is served nowhere.
    private func writeStatus(_ ingress: Object, _ address: String?) async throws {
        let balancers: Value = address.map { [["ip": .string($0)]] } ?? []
        guard ingress["status"]["loadBalancer"]["ingress"].value ?? [] != balancers else { return }
        do {
            try await client.patch(
                .ingresses, namespace: ingress.metadata.namespace, name: ingress.metadata.name, type: .merge,
                ["status": ["loadBalancer": ["ingress": balancers]]], subresource: "status")
        } catch let error as StatusError where error.isNotFound {}
    }

    // MARK: - What is said

    private static func text(_ error: any Error) -> String { (error as? StatusError)?.message ?? "\(error)" }

    /// Whether this is news of an Ingress.
    private func isNews(_ ingress: Object, _ trouble: String?) -> Bool {
        let now = Told(generation: ingress.metadata.generation, annotations: ingress.metadata.annotations, trouble: trouble)
        return told.withLock { told in
            defer { told[ingress.metadata.uid] = now }
            return told[ingress.metadata.uid] != now
        }
    }

    private func forget(_ all: [Object]) {
        let uids = Set(all.map(\.metadata.uid))
        told.withLock { told in for uid in told.keys where !uids.contains(uid) { told[uid] = nil } }
    }

    private func tell(_ group: IngressGroup, trouble reason: String, _ message: String) {
        for member in group.members where isNews(member.ingress, message) {
            recorder.event(regarding: ObjectReference(member.ingress), .warning, reason: reason, message: message)
        }
    }

    private func tellSuccess(_ ingress: Object) {
        guard isNews(ingress, nil) else { return }
        recorder.event(regarding: ObjectReference(ingress), .normal, reason: "SuccessfullyReconciled", message: "Successfully reconciled")
    }

    private func tellMisnamed(_ all: [Object], _ sorting: IngressSorting) {
        for ingress in all {
            guard case .misnamed(let why) = sorting.belonging(ingress), isNews(ingress, why) else { continue }
            recorder.event(
                regarding: ObjectReference(ingress), .warning, reason: "FailedLoadGroupID", message: "Failed load groupID due to \(why)")
        }
    }
}

/// What one pass wants of the provider.
private struct IngressPass {
    /// By id.
    var wanted: [String: ApplicationBalancer] = [:]
    var addresses: [String: String] = [:]
    /// Balancers that stay as they are.
    var keeping: Set<String> = []

    var parts: [String: IngressPart] {
        var parts: [String: IngressPart] = [:]
        for (id, balancer) in wanted { parts[id] = addresses[id].map { ProxyText.part(balancer, at: $0) } }
        return parts
    }
}
