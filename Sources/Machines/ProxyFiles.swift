internal import Processes

#if canImport(Glibc)
    internal import Glibc
#endif

/// The files of a cluster's proxy. All are the service's alone: certificates have their keys with them.
struct ProxyFiles: Sendable {
    let directory: String

    var configuration: String { "\(directory)/haproxy.cfg" }
    /// What is tried before it is the configuration.
    var candidate: String { "\(directory)/candidate.cfg" }
    var process: String { "\(directory)/process.json" }
    var log: String { "\(directory)/haproxy.log" }
    /// What the proxy's workers see of the file system.
    var root: String { "\(directory)/empty" }
    private var parts: String { "\(directory)/parts" }
    private var certificates: String { "\(directory)/certificates" }

    private func part(_ id: String) -> String { "\(parts)/\(id).cfg" }

    /// Makes the directories. Throws `CommandError`.
    func create() throws { for path in [directory, root, parts, certificates] { try SmallFile.makeDirectory(path) } }

    /// The parts of the configuration as they were deployed, by id.
    func deployed() -> [String: String] {
        var texts: [String: String] = [:]
        for name in SmallFile.names(parts) where name.hasSuffix(".cfg") {
            let id = String(name.dropLast(".cfg".count))
            texts[id] = SmallFile.readText(part(id))
        }
        return texts
    }

    /// Writes certificates that are not there. One that is never changes. Throws `CommandError`.
    func add(certificates pems: [String: String], of id: String) throws {
        guard !pems.isEmpty else { return }
        try SmallFile.makeDirectory("\(certificates)/\(id)")
        for (name, pem) in pems {
            let path = "\(certificates)/\(id)/\(name).pem"
            if access(path, F_OK) != 0 { try SmallFile.write(path, Array(pem.utf8)) }
        }
    }

    /// Makes `texts` the parts that are deployed, and removes certificates that none of them names. Throws `CommandError`.
    func keep(_ texts: [String: String]) async throws {
        for (id, text) in texts where SmallFile.readText(part(id)) != text { try SmallFile.write(part(id), Array(text.utf8)) }
        for id in deployed().keys where texts[id] == nil { unlink(part(id)) }
        for id in SmallFile.names(certificates) {
            guard let text = texts[id] else {
                try await Command.run(["rm", "-rf", "--one-file-system", "\(certificates)/\(id)"])
                continue
            }
            for name in SmallFile.names("\(certificates)/\(id)") where !text.contains(name) { unlink("\(certificates)/\(id)/\(name)") }
        }
    }

    /// The process of an earlier life; nil when it does not run.
    func running() -> ProcessIdentity? {
        guard let record = SmallFile.readText(process) else { return nil }
        let numbers = record.split(whereSeparator: { !$0.isNumber }).compactMap { Int64($0) }
        guard numbers.count == 2, let first = numbers.first, let start = numbers.last, let pid = Int32(exactly: first) else { return nil }
        let identity = ProcessIdentity(pid: pid, startTime: start)
        return identity.isRunning ? identity : nil
    }

    /// Throws `CommandError`.
    func remember(_ identity: ProcessIdentity) throws {
        try SmallFile.write(process, Array("{\"pid\":\(identity.pid),\"startTime\":\(identity.startTime)}".utf8))
    }

    /// The whole configuration. Workers are nobody and see an empty directory; those that a reload leaves behind end when a target group's
    /// connections would be cut, after AWS's five minutes.
    func text(_ parts: [String: String]) -> String {
        let head = """
            global
                maxconn 4000
                nbthread 2
                uid 65534
                gid 65534
                chroot \(root)
                crt-base \(certificates)
                hard-stop-after 300s
                mworker-max-reloads 10
                ssl-default-bind-options ssl-min-ver TLSv1.2

            defaults
                mode http
                option forwardfor
                timeout connect 10s
                timeout client 60s
                timeout server 60s
                timeout http-request 60s

            """
        return ([head] + parts.sorted { $0.key < $1.key }.map(\.value)).joined(separator: "\n")
    }
}
