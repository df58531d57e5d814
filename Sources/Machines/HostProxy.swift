package import Logging
internal import Processes

#if canImport(Glibc)
    internal import Glibc
#endif

/// The proxy of a cluster's Application Load Balancers: one haproxy, which runs while there is something to serve. It is a session of its own, which
/// the service's end does not touch, and is found again.
///
///     stopped ──deploy──▶ running ──deploy (nothing left), end──▶ stopped
///                          │   ▲
///                          died, started again with growing pauses
package actor HostProxy {
    /// A balancer's sections of the configuration.
    package struct Part: Sendable, Equatable {
        package var text: String
        /// Certificates with their keys as PEM, by a name that changes with them.
        package var certificates: [String: String]
        /// Where it listens.
        package var address: String
        package var ports: [UInt16]

        package init(text: String, certificates: [String: String], address: String, ports: [UInt16]) {
            self.text = text
            self.certificates = certificates
            self.address = address
            self.ports = ports
        }
    }

    /// The program, and the Debian package of that name.
    private static let program = "haproxy"
    /// Until it listens after a start or a reload, which takes some milliseconds.
    private static let patience = Duration.seconds(5)
    private static let step = Duration.milliseconds(20)
    /// Until it has ended.
    private static let grace = Duration.seconds(5)
    private static let pauses = (first: Duration.seconds(1), last: Duration.seconds(60))

    private let files: ProxyFiles
    private let logger: Logger
    private var process: ProcessIdentity?
    private var watcher: Task<Void, Never>?
    /// Changes are made one after the other.
    private var last: Task<Void, Never>?

    /// `directory` is the proxy's own.
    package init(directory: String, logger: Logger = Logger(label: "eyrie.proxy")) {
        files = ProxyFiles(directory: directory)
        self.logger = logger
    }

    /// Throws when haproxy is not there, naming the package.
    package nonisolated func requireProgram() throws {
        guard Self.path() == nil else { return }
        throw CommandError(
            arguments: [Self.program], code: -ENOENT, output: "Ingresses are served by haproxy: install the package haproxy on this host")
    }

    /// Where Debian has it: the service's PATH may lack what is root's.
    private static func path() -> String? {
        ["/usr/sbin", "/usr/local/sbin", "/usr/bin", "/usr/local/bin"].map { "\($0)/\(program)" }.first { access($0, X_OK) == 0 }
    }

    /// Serves `parts`, by id, keeps those of `keeping` as they are, and ends all others. Gives why parts were refused: what was deployed of them
    /// before stays. Throws when nothing could be changed.
    package func deploy(_ parts: [String: Part], keeping: Set<String>) async throws -> [String: String] {
        try await exclusively { try await self.deployNow(parts, keeping) }
    }

    /// Ends the proxy and forgets what it served. Repeating it is no error.
    package func end() async {
        do {
            try await exclusively { try await self.endNow() }
        } catch { logger.warning("the proxy's files could not be removed", metadata: ["error": "\(error)"]) }
    }

    /// The proxy's directory in a cluster's.
    package static func directory(ofCluster directory: String) -> String { "\(directory)/ingress" }

    /// Ends the proxies of all clusters of a directory, whoever started them, and keeps their files.
    package static func haltAll(clusters: String) async {
        for name in SmallFile.names(clusters) {
            let files = ProxyFiles(directory: directory(ofCluster: "\(clusters)/\(name)"))
            if let process = files.running() { await halt(process) }
        }
    }

    private func exclusively<Result: Sendable>(_ body: @escaping @Sendable () async throws -> Result) async throws -> Result {
        let before = last
        let task = Task {
            await before?.value
            return try await body()
        }
        last = Task { _ = await task.result }
        return try await task.value
    }

    // MARK: - Deploying

    private func deployNow(_ parts: [String: Part], _ keeping: Set<String>) async throws -> [String: String] {
        let deployed = files.deployed()
        var texts = deployed.filter { keeping.contains($0.key) }
        for (id, part) in parts { texts[id] = part.text }
        guard !texts.isEmpty else {
            try await endNow()
            return [:]
        }
        adoptIfNeeded()
        if texts == deployed, process != nil { return [:] }
        try requireProgram()
        try files.create()
        for (id, part) in parts { try files.add(certificates: part.certificates, of: id) }
        var refused: [String: String] = [:]
        if let complaint = await complaint(texts) {
            // Somebody's part is wrong: each is tried alone, so that the others do not suffer.
            for (id, part) in parts where deployed[id] != part.text {
                guard let own = await self.complaint([id: part.text]) else { continue }
                refused[id] = own
                texts[id] = deployed[id]
            }
            let others = texts.isEmpty ? nil : await self.complaint(texts)
            guard !refused.isEmpty, others == nil else {
                throw CommandError(arguments: [Self.program, "-c"], code: 1, output: complaint)
            }
        }
        guard !texts.isEmpty else {
            try await endNow()
            return refused
        }
        try SmallFile.write(files.configuration, Array(files.text(texts).utf8))
        try await bringUp(parts.filter { refused[$0.key] == nil })
        try await files.keep(texts)
        return refused
    }

    /// What the proxy says against a configuration; nil: nothing.
    private func complaint(_ texts: [String: String]) async -> String? {
        guard let path = Self.path() else { return "haproxy is not there" }
        defer { unlink(files.candidate) }
        do {
            try SmallFile.write(files.candidate, Array(files.text(texts).utf8))
            try await Command.run([path, "-c", "-f", files.candidate])
            return nil
        } catch let error as CommandError {
            return alerts(in: error.output)
        } catch { return "\(error)" }
    }

    /// The lines that say what is wrong, without paths of this host. haproxy names files and lines, never their content of keys.
    private nonisolated func alerts(in output: String) -> String {
        let lines = output.split(separator: "\n").filter { $0.contains("[ALERT]") }.prefix(3)
        let text = lines.isEmpty ? output : lines.joined(separator: "; ")
        return String(text.split(separator: files.directory + "/", omittingEmptySubsequences: false).joined().prefix(1000))
    }

    // MARK: - The process

    private func adoptIfNeeded() {
        guard process?.isRunning != true else { return }
        process = files.running()
        if let process { watch(process, pause: Self.pauses.first) }
    }

    /// Starts the proxy, or has it read its configuration again, and waits until it listens for `parts`.
    private func bringUp(_ parts: [String: Part]) async throws {
        if let process, process.isRunning {
            // The master starts new workers on the same sockets; the old ones finish what they have.
            process.kill(SIGUSR2)
        } else {
            try start(pause: Self.pauses.first)
        }
        let places = parts.values.flatMap { part in part.ports.map { (part.address, $0) } }
        // The kernel tells nobody that a port begins to listen.
        let end = ContinuousClock.now + Self.patience
        while !ListeningPorts.current().hasAll(places) {
            guard ContinuousClock.now < end, process?.isRunning == true else {
                throw CommandError(arguments: [Self.program], code: 1, output: alerts(in: lastLines()))
            }
            try await Task.sleep(for: Self.step)
        }
    }

    private func lastLines() -> String {
        (SmallFile.readText(files.log) ?? "").split(separator: "\n").suffix(5).joined(separator: "\n")
    }

    private func start(pause: Duration) throws {
        guard let path = Self.path() else { return try requireProgram() }
        // Its log is of this start alone: it has a few lines for each.
        unlink(files.log)
        let pid = try Command.spawnSession([path, "-W", "-db", "-f", files.configuration], log: files.log)
        guard let identity = ProcessIdentity(pid: pid) else {
            throw CommandError(arguments: [Self.program], code: 1, output: alerts(in: lastLines()))
        }
        try files.remember(identity)
        process = identity
        watch(identity, pause: pause)
        logger.info("proxy started", metadata: ["pid": "\(pid)"])
    }

    private func watch(_ identity: ProcessIdentity, pause: Duration) {
        watcher?.cancel()
        let began = ContinuousClock.now
        watcher = Task { [weak self] in
            await identity.waitForExit()
            guard !Task.isCancelled else { return }
            // One that ran for long begins with the first pause again.
            let next = ContinuousClock.now - began > Self.pauses.last ? Self.pauses.first : pause
            do { try await Task.sleep(for: next) } catch { return }
            await self?.restart(after: identity, pause: min(next * 2, Self.pauses.last))
        }
    }

    private func restart(after identity: ProcessIdentity, pause: Duration) async {
        do {
            try await exclusively { try await self.restartNow(after: identity, pause: pause) }
        } catch { logger.warning("the proxy died and cannot be started", metadata: ["error": "\(error)"]) }
    }

    private func restartNow(after identity: ProcessIdentity, pause: Duration) throws {
        // Meanwhile it may have been ended, or started by a deployment.
        guard process == identity else { return }
        logger.warning("the proxy died and is started again", metadata: ["said": "\(alerts(in: lastLines()))"])
        try start(pause: pause)
    }

    private func endNow() async throws {
        adoptIfNeeded()
        watcher?.cancel()
        watcher = nil
        if let process {
            self.process = nil
            await Self.halt(process)
            logger.info("proxy ended", metadata: ["pid": "\(process.pid)"])
        }
        guard access(files.directory, F_OK) == 0 else { return }
        try await Command.run(["rm", "-rf", "--one-file-system", files.directory])
    }

    private static func halt(_ process: ProcessIdentity) async { await process.end(within: grace) }
}
