import HTTPTransport

/// Passes the nodes' image pulls on to a registry mirror that listens where machines cannot reach it, such as the host's loopback. Reads only.
struct RegistryRelay: HTTPResponder {
    private let client: HTTPClient
    private let authority: String
    private let prefix: String

    /// Time for the mirror's first byte; blobs then stream without a limit.
    private static let patience = Duration.seconds(30)
    /// What a registry's client sends that matters to the registry.
    private static let passedOn = ["Accept", "Range", "If-None-Match", "User-Agent", "Authorization"]

    /// `mirror` is an `http://host:port[/path]` URL. Throws `CLIError` for anything else.
    init(mirror: String) throws {
        guard let (host, port, path) = Self.parse(mirror) else {
            throw CLIError(
                what: "The registry mirror \"\(mirror)\" is not a URL of the form http://HOST:PORT.", why: nil,
                fix: "--registry-mirror docker.io=http://127.0.0.1:5000")
        }
        authority = "\(host):\(port)"
        prefix = path
        client = try HTTPClient(configuration: .init(address: .tcp(host: host, port: port)))
    }

    /// The parts of an `http://host:port[/path]` URL; nil for anything else.
    static func parse(_ mirror: String) -> (host: String, port: Int, path: String)? {
        let scheme = "http://"
        guard mirror.hasPrefix(scheme) else { return nil }
        let rest = mirror.dropFirst(scheme.count)
        let authority = rest.prefix { $0 != "/" }
        let parts = authority.split(separator: ":", omittingEmptySubsequences: false)
        guard parts.count == 2, !parts[0].isEmpty, let port = Int(parts[1]), (1...65535).contains(port) else { return nil }
        let path = rest.dropFirst(authority.count)
        return (String(parts[0]), port, path == "/" ? "" : String(path))
    }

    func respond(to head: HTTPRequestHead, body: HTTPBodyStream) async -> HTTPResponse {
        guard head.method == "GET" || head.method == "HEAD" else { return HTTPResponse(status: 405) }
        var fields: HTTPFields = ["Host": authority]
        for name in Self.passedOn { if let value = head.fields[name] { fields[name] = value } }
        do {
            let answer = try await client.execute(head.method, prefix + head.target, fields: fields, timeout: Self.patience)
            var passed = HTTPFields()
            for (name, value) in answer.fields.fields where !["connection", "transfer-encoding", "keep-alive"].contains(name.lowercased()) {
                passed.add(name, value)
            }
            return HTTPResponse(
                status: answer.status, fields: passed,
                body: .stream { writer in
                    for try await piece in answer.body { try await writer.write(piece) }
                })
        } catch {
            return HTTPResponse(status: 502, body: .bytes(Array("the registry mirror \(authority) does not answer: \(error)\n".utf8)))
        }
    }
}
