import HTTPTransport
import KubeAPI
import KubeClient
import Logging

/// Finds out whether extension servers can be reached and what they serve, and keeps the APIServices of custom resources. Wakes when something that
/// matters has changed, and from time to time while something is remote. Upstream: kube-aggregator's AvailableConditionController,
/// crdRegistrationController and discovery manager.
struct AvailabilityController: Sendable {
    /// How often a healthy extension server is asked again. Upstream: the discovery manager's resync.
    private static let interval = Duration.seconds(30)
    /// The pause after the first failure; doubled for each further one, up to `interval`.
    private static let firstRetry = Duration.seconds(1)
    /// Upstream: the discovery client's timeout.
    private static let timeout = Duration.seconds(5)
    /// Bytes of a discovery or OpenAPI document.
    private static let maximumDocumentBytes = 16 * 1024 * 1024
    private static let resource = GroupVersionResource(group: "apiregistration.k8s.io", version: "v1", resource: "apiservices")
    private static let logger = Logger(label: "eyrie.aggregation")

    let aggregator: Aggregator
    let reader: any ObjectReader
    let client: InProcessTransport
    let now: @Sendable () -> Timestamp

    /// Until cancelled, or the aggregator is closed.
    func run() async {
        var pause = Self.firstRetry
        var timer: Task<Void, Never>?
        aggregator.wakeUp()
        for await _ in aggregator.wakeups {
            timer?.cancel()
            await registerCustomGroups()
            let failures = await checkAll()
            guard let failures else { continue }
            pause = failures ? min(pause * 2, Self.interval) : Self.firstRetry
            let wait = failures ? pause : Self.interval
            timer = Task { [aggregator] in
                // Cancelled when something else has woken the loop.
                guard (try? await Task.sleep(for: wait)) != nil else { return }
                aggregator.wakeUp()
            }
        }
        timer?.cancel()
    }

    /// Checks every remote APIService. Nil when there is none, else whether any failed.
    private func checkAll() async -> Bool? {
        let remotes = aggregator.index.remotes.services
        aggregator.forget(except: Set(remotes.map(\.groupVersion)))
        guard !remotes.isEmpty else { return nil }
        return await withTaskGroup(of: Bool.self) { group in
            for service in remotes { group.addTask { await check(service) } }
            var failed = false
            for await isAvailable in group where !isAvailable { failed = true }
            return failed
        }
    }

    private func check(_ service: RegisteredAPIService) async -> Bool {
        let (isAvailable, reason, message) = await judge(service)
        do {
            try await write(service, isAvailable, reason, message)
        } catch let error as StatusError where error.isNotFound || error.isConflict {
            aggregator.wakeUp()
        } catch {
            Self.logger.warning("the status of an APIService cannot be written", metadata: ["name": "\(service.name)", "error": "\(error)"])
        }
        if isAvailable { await readOpenAPI(service) }
        return isAvailable
    }

    /// Upstream: AvailableConditionController.sync.
    private func judge(_ service: RegisteredAPIService) async -> (Bool, reason: String, message: String) {
        guard let target = service.service else { return (true, "Local", "Local APIServices are always available") }
        let shown = "service/\(target.name) in \(target.namespace.goQuoted)"
        func unavailable(_ reason: String, _ message: String) -> (Bool, String, String) {
            aggregator.record(service.groupVersion) { $0.isFresh = false }
            return (false, reason, message)
        }
        guard let object = reader.get(.services, namespace: target.namespace, name: target.name) else {
            return unavailable("ServiceNotFound", "\(shown) is not present")
        }
        if (object["spec"]["type"].string ?? "ClusterIP") == "ClusterIP" {
            guard let port = object["spec"]["ports"].elements.first(where: { $0["port"].int == Int64(target.port) }) else {
                return unavailable("ServicePortError", "\(shown) is not listening on port \(target.port)")
            }
            let portName = port["name"].string ?? ""
            let endpoints = aggregator.resolver.endpoints(namespace: target.namespace, name: target.name, portName: portName)
            guard endpoints.exist else { return unavailable("EndpointsNotFound", "cannot find endpoints for \(shown)") }
            guard !endpoints.ready.isEmpty else {
                return unavailable("MissingEndpoints", "endpoints for \(shown) have no addresses with port name \(portName.goQuoted)")
            }
        }
        let url = "https://\(service.serverName):\(target.port)\(service.groupVersion.path)"
        do {
            let list = try await fetch(service, service.groupVersion.path)
            let resources = RemoteDiscovery.resources(list.root, group: service.group, version: service.version)
            aggregator.record(service.groupVersion) { discovery in
                discovery.resources = resources
                discovery.isFresh = true
            }
            return (true, "Passed", "all checks passed")
        } catch {
            return unavailable("FailedDiscoveryCheck", "failing or missing response from \(url): \(describe(error, url))")
        }
    }

    private struct BadStatus: Error { let status: Int }

    private func fetch(_ service: RegisteredAPIService, _ path: String) async throws -> JSONDocument {
        let client = try aggregator.client(for: service)
        var fields = Aggregator.userFields(UserInfo(name: "system:kube-aggregator", groups: ["system:masters"]))
        fields.add("Accept", "application/json")
        fields.add("Host", "\(service.serverName):\(service.service?.port ?? 443)")
        let request = fields
        return try await withThrowingTaskGroup(of: JSONDocument.self) { group in
            group.addTask {
                let response = try await client.execute("GET", path, fields: request, timeout: Self.timeout)
                guard (200...299).contains(response.status) else { throw BadStatus(status: response.status) }
                return try JSONDocument(try await response.body.collect(limit: Self.maximumDocumentBytes))
            }
            group.addTask {
                try await Task.sleep(for: Self.timeout)
                throw HTTPError.timeout("")
            }
            defer { group.cancelAll() }
            guard let document = try await group.next() else { throw HTTPError.connectionClosed }
            return document
        }
    }

    private func describe(_ error: any Error, _ url: String) -> String {
        switch error {
        case let error as BadStatus: return "bad status from \(url): \(error.status)"
        case let error as HTTPError:
            return "Get \(url.goQuoted): \(AbsoluteURL(url).map { error.goText($0) } ?? "\(error)")"
        case let error as StatusError: return error.message
        default: return "\(error)"
        }
    }

    /// Upstream: the OpenAPI aggregation controllers. An extension server without OpenAPI is no failure.
    private func readOpenAPI(_ service: RegisteredAPIService) async {
        let name = "apis/\(service.group)/\(service.version)"
        let index = try? await fetch(service, "/openapi/v3")
        let url = index?.root["paths"][name]["serverRelativeURL"].string
        let document = (try? await fetch(service, "/openapi/v2"))?.root.value
        let part = document.flatMap { RemoteDiscovery.openAPIv2($0, group: service.group, version: service.version) }
        let known = aggregator.discovery(of: service.groupVersion)
        guard known?.openAPIv3 != url || known?.openAPIv2 != part else { return }
        aggregator.record(service.groupVersion) { discovery in
            discovery.openAPIv3 = url
            discovery.openAPIv2 = part
        }
    }

    /// Writes the condition when it is another than the present one.
    private func write(_ service: RegisteredAPIService, _ isAvailable: Bool, _ reason: String, _ message: String) async throws {
        guard let object = reader.get(.apiServices, namespace: "", name: service.name) else { return }
        var tree = object.value
        var conditions = tree[path: "status", "conditions"]?.array ?? []
        let place = conditions.firstIndex { $0["type"]?.string == "Available" }
        let present = place.map { conditions[$0] }
        let status: Value = isAvailable ? "True" : "False"
        if present?["status"] == status, present?["reason"]?.string == reason, present?["message"]?.string == message { return }
        let isSame = present?["status"] == status
        let condition: Value = [
            "lastTransitionTime": isSame ? present?["lastTransitionTime"] ?? .null : .string(now().rfc3339), "message": .string(message),
            "reason": .string(reason), "status": status, "type": "Available",
        ]
        if let place { conditions[place] = condition } else { conditions.append(condition) }
        tree[path: "status", "conditions"] = .array(conditions)
        _ = try await client.perform(
            KubeRequest(.update, Self.resource, name: service.name, subresource: "status", body: tree.jsonBytes))
    }

    // MARK: Custom resources

    /// Makes the APIServices of the versions that CustomResourceDefinitions serve and takes away those that nothing serves any more.
    private func registerCustomGroups() async {
        var wanted: [String: Value] = [:]
        for definition in reader.list(.customResourceDefinitions, namespace: nil) where !definition.metadata.isBeingDeleted {
            let group = definition["spec"]["group"].string ?? ""
            for version in definition["spec"]["versions"].elements where version["served"].bool == true {
                let name = version["name"].string ?? ""
                wanted["\(name).\(group)"] = LocalAPIServices.custom(group: group, version: name)
            }
        }
        var present: Set<String> = []
        for service in reader.list(.apiServices, namespace: nil) {
            let name = service.metadata.name
            present.insert(name)
            guard wanted[name] == nil, service["metadata"]["labels"][LocalAPIServices.managedLabel].string == "true" else { continue }
            await attempt { _ = try await client.perform(KubeRequest(.delete, Self.resource, name: name)) }
        }
        for (name, object) in wanted.sorted(by: { $0.key < $1.key }) where !present.contains(name) {
            await attempt { _ = try await client.perform(KubeRequest(.create, Self.resource, body: object.jsonBytes)) }
        }
    }

    private func attempt(_ work: () async throws -> Void) async {
        do { try await work() } catch let error as StatusError where error.isAlreadyExists || error.isNotFound {
            // Somebody else did it.
        } catch {
            Self.logger.warning("an APIService of custom resources cannot be written", metadata: ["error": "\(error)"])
        }
    }
}
