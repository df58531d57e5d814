import Certificates
import Foundation
import Synchronization
import Testing

@testable import HTTPTransport

/// Runs a program and returns its status with everything it printed.
func run(_ arguments: [String], input: [UInt8] = []) async throws -> (status: Int32, output: String) {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    process.arguments = arguments
    let output = Pipe()
    let source = Pipe()
    process.standardOutput = output
    process.standardError = output
    process.standardInput = source
    let status = try await withCheckedThrowingContinuation { (continuation: CheckedContinuation<Int32, any Error>) in
        process.terminationHandler = { continuation.resume(returning: $0.terminationStatus) }
        do {
            try process.run()
            source.fileHandleForWriting.write(Data(input))
            try source.fileHandleForWriting.close()
        } catch {
            continuation.resume(throwing: error)
        }
    }
    return (status, String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self))
}

/// A responder made of closures.
struct TestResponder: HTTPResponder {
    var now: @Sendable (HTTPRequestHead) -> HTTPResponse? = { _ in nil }
    var later: @Sendable (HTTPRequestHead, HTTPBodyStream) async -> HTTPResponse

    func respondNow(to head: HTTPRequestHead) -> HTTPResponse? { now(head) }
    func respond(to head: HTTPRequestHead, body: HTTPBodyStream) async -> HTTPResponse { await later(head, body) }
}

func text(_ status: Int, _ text: String) -> HTTPResponse {
    HTTPResponse(status: status, fields: ["Content-Type": "text/plain"], body: .bytes(Array(text.utf8)))
}

/// What happened, for a test to wait for.
final class Log: Sendable {
    private let entries = Mutex<[String]>([])
    func add(_ entry: String) { entries.withLock { $0.append(entry) } }
    var all: [String] { entries.withLock { $0 } }

    /// Returns when `entry` was added, or the task is cancelled.
    func wait(for entry: String) async {
        while !all.contains(entry) {
            do { try await Task.sleep(for: .milliseconds(2)) } catch { return }
        }
    }
}

/// Waits for a condition; a test's own time limit is the end of patience.
func eventually(_ what: String, within limit: Duration = .seconds(30), _ condition: () async throws -> Bool) async throws {
    let clock = ContinuousClock()
    let end = clock.now + limit
    while clock.now < end {
        if try await condition() { return }
        try await Task.sleep(for: .milliseconds(5))
    }
    Issue.record("not within \(limit): \(what)")
}

/// Serves `responder` on a free port of the loopback while `body` runs.
func withServer<Result>(
    _ responder: TestResponder, tls: HTTPServer.TLS? = nil, limits: HTTPServer.Limits = HTTPServer.Limits(),
    _ body: (HTTPServer) async throws -> Result
) async throws -> Result {
    let configuration = HTTPServer.Configuration(address: .tcp(host: "127.0.0.1", port: 0), tls: tls, limits: limits)
    let server = try await HTTPServer.start(configuration, responder: responder)
    do {
        let result = try await body(server)
        await server.stop(grace: .zero)
        return result
    } catch {
        await server.stop(grace: .zero)
        throw error
    }
}

func makeClient(of server: HTTPServer, tls: HTTPClient.TLS? = nil) throws -> HTTPClient {
    try HTTPClient(configuration: HTTPClient.Configuration(address: .tcp(host: "127.0.0.1", port: server.port), tls: tls))
}

/// Sends raw bytes and returns everything the server answers until it closes.
func exchange(_ server: HTTPServer, _ request: String, finishWriting: Bool = false) async throws -> String {
    let tunnel = try await makeClient(of: server).connect()
    var answer: [UInt8] = []
    do {
        try await tunnel.write(Array(request.utf8))
        if finishWriting { await tunnel.finishWriting() }
        while let bytes = try await tunnel.read() { answer += bytes }
    } catch HTTPError.connectionClosed {
        // The server was quicker: what it said before is the answer.
    }
    await tunnel.close()
    return String(decoding: answer, as: UTF8.self)
}

/// A CA with a server and a client certificate, in memory and as files.
struct TestCertificates {
    let authority: CertificateAuthority
    let server: TLSIdentity
    let client: TLSIdentity
    let folder: String

    init() throws {
        let validity = CertificateValidity(now: Int64(time(nil)), seconds: CertificateValidity.dayInSeconds)
        authority = try CertificateAuthority(commonName: "test-ca", validity: validity)
        server = try Self.identity(authority, "server", usage: .server)
        client = try Self.identity(authority, "alice", usage: .client, groups: ["dev", "ops"])
        folder = NSTemporaryDirectory() + "eyrie-" + UUID().uuidString
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        try SecretFile.write("\(folder)/ca.pem", Array(authority.certificatePEM.utf8))
        try SecretFile.write("\(folder)/client.pem", Array(client.certificateChainPEM.utf8))
        try SecretFile.write("\(folder)/client.key", Array(client.privateKeyPEM.utf8))
    }

    static func identity(
        _ authority: CertificateAuthority, _ name: String, usage: LeafRequest.Usage, groups: [String] = [], dnsNames: [String] = ["localhost"],
        ipAddresses: [String] = ["127.0.0.1"]
    ) throws -> TLSIdentity {
        let validity = CertificateValidity(now: Int64(time(nil)), seconds: CertificateValidity.dayInSeconds)
        let leaf = try authority.issue(
            LeafRequest(
                commonName: name, organizations: groups, dnsNames: usage == .server ? dnsNames : [], ipAddresses: usage == .server ? ipAddresses : [],
                usage: usage, validity: validity))
        return TLSIdentity(certificateChainPEM: leaf.certificatePEM, privateKeyPEM: leaf.privateKeyPEM)
    }

    func tls(verify: Bool = true, names: (@Sendable (String) -> TLSIdentity?)? = nil) throws -> HTTPServer.TLS {
        let verifier = try ClientCertificateVerifier(caPEM: authority.certificatePEM)
        let judge: @Sendable ([[UInt8]]) async -> [[UInt8]]? = { await verifier.validate($0) }
        return HTTPServer.TLS(
            identity: server, clientCAPEM: authority.certificatePEM, verifyClientChain: verify ? judge : nil, identityForServerName: names)
    }

    func remove() {
        do { try FileManager.default.removeItem(atPath: folder) } catch { Issue.record(error) }
    }
}

/// Answers with who the client is.
let whoAmI = TestResponder(later: { head, _ in
    let info = head.connection
    var name = "anonymous"
    if let leaf = info.peerCertificates.first {
        do {
            let subject = try CertificateSubject.read(der: leaf)
            name = subject.commonName + "/" + subject.organizations.joined(separator: ",")
        } catch { name = "\(error)" }
    }
    return text(200, "\(name) h2=\(info.isHTTP2) tls=\(info.isTLS) sni=\(info.serverName ?? "-")")
})
