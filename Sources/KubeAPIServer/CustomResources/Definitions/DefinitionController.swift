import KubeAPI
import KubeClient
import KubeStorage
import Logging
import Synchronization

/// Follows the CustomResourceDefinitions: serves what they define from the commit on that says so, accepts their names, and empties those that are
/// deleted. One for each API server. Upstream: the controllers of apiextensions-apiserver.
final class DefinitionController: Sendable {
    /// Pause before a definition that failed is looked at again; doubles up to the longest.
    private static let firstPause = Duration.milliseconds(100)
    private static let longestPause = Duration.seconds(30)
    /// How long instances may take to go before that is written down. Upstream: finalizer.CRDFinalizer.
    private static let emptyTimeout = Duration.seconds(60)

    private struct State {
        /// What is served of each definition, in the form it was compared by.
        var served: [String: [UInt8]] = [:]
        /// Definitions whose instances are being deleted.
        var emptying: Set<String> = []
        var tasks: [Task<Void, Never>] = []
        var webhooks: WebhookClient?
    }

    private let registry: ResourceRegistry
    private let environment: VerbEnvironment
    private let client: InProcessTransport
    private let state = Mutex(State())
    /// Held while rows change: commits and the controller's own writes both change them.
    private let serving = Mutex(())
    private let names: AsyncStream<String>
    private let queue: AsyncStream<String>.Continuation
    private let logger = Logger(label: "eyrie.apiserver.definitions")

    init(environment: VerbEnvironment, client: InProcessTransport) {
        self.environment = environment
        self.client = client
        registry = environment.registry
        (names, queue) = AsyncStream.makeStream(of: String.self)
    }

    /// Serves the definitions there are and follows them from now on.
    func start() {
        let present = registry.list(CustomResourceDefinition.resource, namespace: nil).map(CustomResourceDefinition.init)
        serve(present)
        registry.observe(CustomResourceDefinition.resource) { [weak self] old, new in self?.changed(old, new) }
        let task = Task { [weak self, names] in
            for await name in names {
                guard let self else { return }
                await self.work(name)
            }
        }
        state.withLock { $0.tasks.append(task) }
    }

    func stop() {
        queue.finish()
        for task in state.withLock({ state in
            defer { state.tasks = [] }
            return state.tasks
        }) { task.cancel() }
    }

    // MARK: Serving

    /// What of a definition decides how it is served.
    private static func fingerprint(_ definition: CustomResourceDefinition) -> [UInt8] {
        let marks = "\(definition.isEstablished)\(definition.isTrue("NamesAccepted"))\(definition.isTerminating)\(definition.object.metadata.uid)"
        var bytes = Array(marks.utf8)
        bytes += definition.object["spec"].map { Array($0.rawBytes) } ?? []
        bytes += definition.object["status"]["acceptedNames"].map { Array($0.rawBytes) } ?? []
        return bytes
    }

    private func serve(_ definitions: [CustomResourceDefinition]) {
        serving.withLock { _ in
            var changes: [(String, [CustomResourceVersion])] = []
            for definition in definitions {
                let name = definition.name
                let fingerprint = Self.fingerprint(definition)
                let isNew = state.withLock { $0.served.updateValue(fingerprint, forKey: name) != fingerprint }
                guard isNew else { continue }
                let conversion = CustomResourceConversion(definition) { webhooks() }
                changes.append((name, CustomResourceVersion.all(of: definition, conversion: conversion)))
            }
            if !changes.isEmpty { registry.serve(changes) }
        }
    }

    private func stopServing(_ name: String) {
        serving.withLock { _ in
            state.withLock { _ = $0.served.removeValue(forKey: name) }
            registry.serve([(name, [])])
        }
    }

    private func webhooks() -> WebhookClient {
        state.withLock { state in
            if let client = state.webhooks { return client }
            let client = WebhookClient(resolver: ServiceResolver(reader: registry))
            state.webhooks = client
            return client
        }
    }

    /// On the store's writer: rows come and go with the commit.
    private func changed(_ old: Object?, _ new: Object?) {
        guard let object = new ?? old else { return }
        let definition = CustomResourceDefinition(object)
        if new == nil {
            stopServing(definition.name)
        } else {
            serve([definition])
        }
        queue.yield(definition.name)
    }

    // MARK: Names and finalizer

    private func work(_ name: String) async {
        do {
            try await sync(name)
        } catch let error as StatusError where error.isConflict || error.isNotFound {
            // It has changed meanwhile, and is in the queue for that.
        } catch {
            logger.warning("a definition was not synced", metadata: ["name": "\(name)", "error": "\(error)"])
            again(name, after: Self.firstPause)
        }
    }

    private func again(_ name: String, after pause: Duration) {
        let queue = queue
        let task = Task {
            // Cancelled with the server: then nothing has to be done again.
            guard (try? await Task.sleep(for: pause)) != nil else { return }
            queue.yield(name)
        }
        state.withLock { state in
            state.tasks.removeAll(where: \.isCancelled)
            state.tasks.append(task)
        }
    }

    private func sync(_ name: String) async throws {
        let group = String(name.drop { $0 != "." }.dropFirst())
        let others = registry.list(CustomResourceDefinition.resource, namespace: nil).map(CustomResourceDefinition.init).filter {
            $0.group == group && $0.name != name
        }
        guard let object = registry.get(CustomResourceDefinition.resource, namespace: "", name: name) else {
            stopServing(name)
            // It has freed its names.
            for other in others where other.names != other.acceptedNames { queue.yield(other.name) }
            return
        }
        let definition = CustomResourceDefinition(object)
        if object.metadata.isBeingDeleted {
            if object.metadata.finalizers.contains(CustomResourceDefinition.finalizer) { beginEmptying(name) }
            return
        }
        // A write of a status that failed had its rows already.
        serve([definition])
        guard let wanted = DefinitionStatus.plan(definition, others: others, now: environment.now()) else { return }
        // Whoever reads that it is established must find it served.
        serve([CustomResourceDefinition(try Object(wanted))])
        try await write(wanted, name: name, subresource: "status")
        for other in others where other.names != other.acceptedNames { queue.yield(other.name) }
    }

    private func write(_ tree: Value, name: String, subresource: String?) async throws {
        _ = try await client.perform(
            KubeRequest(.update, .customResourceDefinitions, name: name, subresource: subresource, body: tree.jsonBytes))
    }

    private func beginEmptying(_ name: String) {
        guard state.withLock({ $0.emptying.insert(name).inserted }) else { return }
        let task = Task { [weak self] in
            var pause = Self.firstPause
            while !Task.isCancelled, let self {
                do {
                    if try await self.empty(name) { break }
                } catch let error as StatusError where error.isNotFound {
                    break
                } catch let error as StatusError where error.isConflict {
                    // Somebody else has changed it: look again at once.
                    continue
                } catch {
                    self.logger.warning("instances of a definition remain", metadata: ["name": "\(name)", "error": "\(error)"])
                }
                do { try await Task.sleep(for: pause) } catch { break }
                pause = min(Self.longestPause, pause * 2)
            }
            self?.state.withLock { _ = $0.emptying.remove(name) }
        }
        state.withLock { $0.tasks.append(task) }
    }

    /// Deletes the instances of a definition, then lets it go. False: some remain. Upstream: finalizer.CRDFinalizer.sync.
    private func empty(_ name: String) async throws -> Bool {
        func read() throws -> CustomResourceDefinition? {
            registry.get(CustomResourceDefinition.resource, namespace: "", name: name).map(CustomResourceDefinition.init)
        }
        func note(_ reason: String, _ message: String) async throws {
            guard let definition = try read() else { return }
            let old = definition.condition("Terminating")
            if old["reason"].string == reason, old["message"].string == message { return }
            var tree = definition.object.value
            DefinitionCondition.set("Terminating", true, reason, message, in: &tree, now: environment.now())
            try await write(tree, name: name, subresource: "status")
        }
        guard let definition = try read(), definition.object.metadata.isBeingDeleted else { return true }
        if definition.isEstablished, let scope = registry.storageScope(GroupResource(group: definition.group, resource: definition.names.plural)) {
            try await note("InstanceDeletionInProgress", "CustomResource deletion is in progress")
            do {
                try await deleteInstances(scope)
            } catch let error as StatusError {
                try await note("InstanceDeletionFailed", "could not issue all deletes: \(error.message)")
                throw error
            }
            guard await isEmptied(scope) else {
                try await note(
                    "InstanceDeletionCheck", "could not confirm zero CustomResources remaining: timed out waiting for the condition")
                return false
            }
        }
        guard let last = try read() else { return true }
        var tree = last.object.value
        tree[path: "metadata", "finalizers"] = Value(last.object.metadata.finalizers.filter { $0 != CustomResourceDefinition.finalizer })
        try await write(tree, name: name, subresource: nil)
        return true
    }

    private func deleteInstances(_ scope: RequestScope) async throws {
        let objects = scope.storage.list(namespace: nil).objects
        let namespaces = scope.row.namespaced ? Set(objects.map(\.metadata.namespace)).sorted() : objects.isEmpty ? [] : [""]
        for namespace in namespaces {
            let info = RequestInfo(
                verb: "deletecollection", resource: scope.row.groupVersionResource, namespace: namespace, name: "", subresource: "")
            let request = APIRequest(info: info, user: .apiServer, query: QueryParameters([]))
            _ = try await ResourceVerbs(environment: environment, scope: scope, request: request).perform()
        }
    }

    /// Waits until no object is left; false after a minute.
    private func isEmptied(_ scope: RequestScope) async -> Bool {
        await withTaskGroup(of: Bool.self) { group in
            group.addTask {
                let (objects, revision) = scope.storage.list(namespace: nil)
                if objects.isEmpty { return true }
                do {
                    let changes = try scope.storage.watch(
                        namespace: nil, from: revision, sendInitialEvents: false, bookmarks: false, filter: nil)
                    while try await changes.nextBatch() != nil {
                        if scope.storage.list(namespace: nil).objects.isEmpty { return true }
                    }
                } catch { return scope.storage.list(namespace: nil).objects.isEmpty }
                return scope.storage.list(namespace: nil).objects.isEmpty
            }
            group.addTask {
                // Cancelled when the objects are gone.
                try? await Task.sleep(for: Self.emptyTimeout)
                return false
            }
            defer { group.cancelAll() }
            return await group.next() ?? false
        }
    }
}
