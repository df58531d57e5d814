import ContainerRuntime
import HTTPTransport
import KubeAPI
import Logging
import Synchronization

/// Devices that plug-ins offer: plug-ins register at a socket, tell what they have, and say what a container with some of it needs.
/// Upstream: pkg/kubelet/cm/devicemanager.ManagerImpl.
final class DeviceManager: Sendable {
    /// The agent's socket, in the folder where plug-ins have theirs.
    static let socketName = "kubelet.sock"
    /// Ids of a container's devices, by resource, as an annotation of the container: an agent that starts again reads them there.
    static let annotation = "eyrie.dev/devices"
    /// For a call of a plug-in.
    private static let callTimeout = Duration.seconds(30)

    private struct Plugin: Sendable {
        var channel: GRPCChannel
        var needsPreStart: Bool
        var generation: Int
    }
    private struct State {
        var ledger = DeviceLedger()
        var plugins: [String: Plugin] = [:]
        var settings: [DeviceLedger.Holder: DeviceSettings] = [:]
        var generation = 0
    }

    private let folder: String
    private let logger: Logger
    /// What the node has has changed.
    private let changed: @Sendable () -> Void
    private let state = Mutex(State())

    init(folder: String, logger: Logger, changed: @escaping @Sendable () -> Void) {
        self.folder = folder
        self.logger = logger
        self.changed = changed
    }

    var capacity: ResourceList { state.withLock { $0.ledger.capacity } }
    var allocatable: ResourceList { state.withLock { $0.ledger.allocatable } }

    /// Takes over what containers of an earlier agent have.
    func recover(_ containers: [RuntimeContainer]) {
        for container in containers where container.state == .running {
            // An annotation that is none of ours' tells of no devices.
            guard let text = container.annotations[Self.annotation], let document = try? JSONDocument(Array(text.utf8)),
                let uid = container.labels[ContainerLabels.podUID]
            else { continue }
            let ids = document.root.members.map { ($0.key, $0.value.strings) }
            let holder = DeviceLedger.Holder(podUID: uid, container: container.name)
            state.withLock { $0.ledger.note(Dictionary(ids) { _, last in last }, of: holder) }
        }
    }

    /// Runs until cancelled. A node whose socket cannot be made has no devices.
    func run() async {
        let (registered, register) = AsyncStream<DeviceRegistration>.makeStream()
        let server: HTTPServer
        do { server = try await listen { register.yield($0) } } catch {
            return logger.warning("device plug-ins cannot register", metadata: ["folder": "\(folder)", "error": "\(error)"])
        }
        await withDiscardingTaskGroup { group in
            for await registration in registered { group.addTask { await self.follow(registration) } }
        }
        await server.stop(grace: .zero)
    }

    /// Plug-ins watch for the socket and register anew when it is made anew. Sockets of those that ended are of no use.
    private func listen(_ register: @escaping @Sendable (DeviceRegistration) -> Void) async throws -> HTTPServer {
        let folder = folder
        try await FileWork.run {
            try FileTree.makeDirectories(folder, mode: 0o750)
            for name in try FileTree.list(folder) { try FileTree.removeAll("\(folder)/\(name)") }
        }
        let service = GRPCService { path, message in
            guard path == "/v1beta1.Registration/Register" else {
                throw GRPCError(code: GRPCError.unimplemented, message: "unknown method \(path)")
            }
            let registration = try DeviceRegistration(message)
            if let problem = registration.problem { throw GRPCError(code: GRPCError.unknown, message: problem) }
            register(registration)
            return []
        }
        return try await HTTPServer.start(HTTPServer.Configuration(address: .unix(path: "\(folder)/\(Self.socketName)")), responder: service)
    }

    /// Follows what a plug-in has, until it ends or another takes its place.
    private func follow(_ registration: DeviceRegistration) async {
        let resource = registration.resource
        let channel = GRPCChannel(address: .unix(path: "\(folder)/\(registration.endpoint)"))
        let generation = state.withLock { state in
            state.generation += 1
            return state.generation
        }
        do {
            let options = try await channel.unary("/v1beta1.DevicePlugin/GetDevicePluginOptions", [], timeout: Self.callTimeout)
            let plugin = Plugin(channel: channel, needsPreStart: try DeviceMessages.needsPreStart(options), generation: generation)
            let before = state.withLock { state in
                let before = state.plugins[resource]
                state.plugins[resource] = plugin
                return before
            }
            if let before { await before.channel.close() }
            logger.info("a device plug-in has registered", metadata: ["resource": "\(resource)", "endpoint": "\(registration.endpoint)"])
            for try await message in channel.serverStream("/v1beta1.DevicePlugin/ListAndWatch", []) {
                let devices = try DeviceMessages.devices(message)
                guard isCurrent(resource, generation, then: { $0.ledger.set(devices, of: resource) }) else { break }
                changed()
            }
        } catch {
            logger.warning("a device plug-in has failed", metadata: ["resource": "\(resource)", "error": "\(error)"])
        }
        if isCurrent(resource, generation, then: { $0.ledger.lose(resource) }) { changed() }
        await channel.close()
    }

    private func isCurrent(_ resource: String, _ generation: Int, then change: (inout State) -> Void) -> Bool {
        state.withLock { state in
            guard state.plugins[resource]?.generation == generation else { return false }
            change(&state)
            return true
        }
    }

    // MARK: allocation

    /// Gives the pod's containers the devices they ask for, as far as they have none yet. Resources without a plug-in are somebody else's. Throws
    /// `PodRejection`.
    func allocate(_ pod: Pod) async throws {
        var former: [String: [String]] = [:]
        for container in pod.initContainers + pod.containers {
            let holder = DeviceLedger.Holder(podUID: pod.uid, container: container.name)
            for (resource, quantity) in container.limits.sorted(by: { $0.key < $1.key }) {
                guard let plugin = state.withLock({ $0.plugins[resource] }), let count = Int(exactly: quantity.value), count > 0 else { continue }
                if state.withLock({ $0.settings[holder] != nil && $0.ledger.held[holder]?[resource]?.count == count }) { continue }
                let reused = former[resource] ?? []
                let ids = try state.withLock { try $0.ledger.take(count, of: resource, for: holder, reusing: reused) }
                do {
                    let answer = try await plugin.channel.unary(
                        "/v1beta1.DevicePlugin/Allocate", DeviceMessages.allocate(ids), timeout: Self.callTimeout)
                    let settings = try DeviceMessages.settings(answer)
                    state.withLock { $0.settings[holder, default: DeviceSettings()].add(settings) }
                } catch {
                    state.withLock { $0.ledger.release(holder) }
                    throw PodRejection(reason: "UnexpectedAdmissionError", message: "Allocate failed due to \(error), which is unexpected")
                }
                if container.isInit, !container.isSidecar { former[resource, default: []] += ids }
            }
        }
    }

    /// What a container gets with its devices, after the plug-ins that want to know were told that it starts. Nil: it has none.
    func starting(_ pod: Pod, _ container: ContainerSpec) async throws -> DeviceSettings? {
        let holder = DeviceLedger.Holder(podUID: pod.uid, container: container.name)
        let (held, plugins, found) = state.withLock { ($0.ledger.held[holder] ?? [:], $0.plugins, $0.settings[holder]) }
        guard var settings = found else { return nil }
        for (resource, ids) in held {
            guard let plugin = plugins[resource], plugin.needsPreStart else { continue }
            _ = try await plugin.channel.unary("/v1beta1.DevicePlugin/PreStartContainer", DeviceMessages.preStart(ids), timeout: Self.callTimeout)
        }
        settings.annotations[Self.annotation] = Value.object(Members(held.sorted { $0.key < $1.key }.map { ($0.key, Value($0.value)) })).jsonString
        return settings
    }

    func release(podUID: String) {
        state.withLock { state in
            state.ledger.release(podUID: podUID)
            state.settings = state.settings.filter { $0.key.podUID != podUID }
        }
    }
}
