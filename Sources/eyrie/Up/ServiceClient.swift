import AWSProtocol
import Glibc
import HTTPTransport
import KubeAPI
import NodeIdentity
import Processes

/// A small signed client of a service's AWS endpoint, for the command line.
struct ServiceClient: Sendable {
    private let client: HTTPClient
    private let authority: String
    private let region: String
    private let keys: AWSKeys

    /// An AWS error as the endpoint answered it.
    struct Refused: Error, CustomStringConvertible {
        var code: String
        var message: String
        var description: String { "\(code): \(message)" }
    }

    /// The service of a data directory on this host, as its administrator.
    init(_ directory: DataDirectory) throws {
        guard let service = directory.service(), let credentials = directory.credentials() else { throw CLIError.notServed(directory) }
        try self.init(
            endpoint: service.endpoint, region: service.region, keys: credentials.keys, rootsPEM: SmallFile.readText(directory.certificateAuthority))
    }

    /// A service anywhere. `rootsPEM` are the certificates it is known by; nil: the system's. Throws `CLIError` for an endpoint that is no
    /// `https://HOST:PORT`.
    init(endpoint: String, region: String, keys: AWSKeys, rootsPEM: String?) throws {
        guard let (host, port) = JoinableCluster.address(endpoint) else {
            throw CLIError(what: "\"\(endpoint)\" is no endpoint of a service.", why: nil, fix: "--endpoint https://HOST:PORT")
        }
        authority = String(endpoint.dropFirst("https://".count).prefix { $0 != "/" })
        self.region = region
        self.keys = keys
        client = try HTTPClient(configuration: .init(address: .tcp(host: host, port: port), tls: .init(rootsPEM: rootsPEM)))
    }

    func close() async { await client.close() }

    /// An EKS call: rest-json.
    func eks(_ method: String, _ target: String, _ body: Value? = nil) async throws -> JSONView {
        let bytes = try await send("eks", method, target, fields: ["content-type": "application/json"], body: body?.jsonBytes ?? [])
        return try JSONDocument(bytes.isEmpty ? Array("{}".utf8) : bytes).root
    }

    /// A call of the query protocol (IAM, EC2); the answer is XML text.
    func query(_ service: String, _ version: String, _ action: String, _ parameters: [(String, String)] = []) async throws -> String {
        let form = ([("Action", action), ("Version", version)] + parameters)
            .map { "\($0)=\(PercentEncoding.encode($1))" }.joined(separator: "&")
        let bytes = try await send(
            service, "POST", "/", fields: ["content-type": "application/x-www-form-urlencoded; charset=utf-8"], body: Array(form.utf8))
        return String(decoding: bytes, as: UTF8.self)
    }

    private func send(_ service: String, _ method: String, _ target: String, fields: HTTPFields, body: [UInt8]) async throws -> [UInt8] {
        let signer = RequestSigner(
            accessKeyID: keys.accessKeyID, secretAccessKey: keys.secretAccessKey, sessionToken: keys.sessionToken, region: region, service: service)
        var fields = fields
        signer.sign(
            method: method, target: target, host: authority, fields: &fields, body: body, time: Double(Timestamp.now.microseconds) / 1_000_000)
        let response = try await client.execute(method, target, fields: fields, body: body.isEmpty ? nil : body, timeout: .seconds(60))
        let answer = try await response.body.collect(limit: 16 << 20)
        guard response.status < 300 else { throw Self.refusal(response, answer) }
        return answer
    }

    private static func refusal(_ response: HTTPClientResponse, _ body: [UInt8]) -> Refused {
        let text = String(decoding: body, as: UTF8.self)
        if let root = try? JSONDocument(body).root {  // XML otherwise.
            let code = response.fields["x-amzn-ErrorType"] ?? root["__type"].string ?? "HTTP \(response.status)"
            return Refused(code: String(code.prefix { $0 != ":" }), message: root["message"].string ?? text)
        }
        return Refused(code: xml("Code", in: text).first ?? "HTTP \(response.status)", message: xml("Message", in: text).first ?? text)
    }

    /// The texts of an element, wherever it stands: enough for the answers read here, whose values hold no markup.
    static func xml(_ name: String, in text: String) -> [String] {
        var found: [String] = []
        var rest = Substring(text)
        while let open = rest.firstRange(of: "<\(name)>"), let close = rest[open.upperBound...].firstRange(of: "</\(name)>") {
            found.append(String(rest[open.upperBound..<close.lowerBound]))
            rest = rest[close.upperBound...]
        }
        return found
    }
}
