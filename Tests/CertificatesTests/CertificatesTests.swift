import Foundation
import Testing

@testable import Certificates

/// Runs a program and returns its status with everything it printed.
func run(_ arguments: [String], input: String = "") async throws -> (status: Int32, output: String) {
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
            source.fileHandleForWriting.write(Data(input.utf8))
            try source.fileHandleForWriting.close()
        } catch {
            continuation.resume(throwing: error)
        }
    }
    return (status, String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self))
}

func temporaryFolder() throws -> String {
    let path = NSTemporaryDirectory() + "eyrie-" + UUID().uuidString
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    return path
}

private var now: Int64 { Int64(time(nil)) }
private func year() -> CertificateValidity { CertificateValidity(now: now, seconds: CertificateValidity.yearInSeconds) }

@Suite("Certificates")
struct CertificatesTests {
    @Test("a leaf names its user, groups and addresses, and its validity")
    func subject() throws {
        let authority = try CertificateAuthority(commonName: "kubernetes", validity: year())
        let validity = CertificateValidity(notBefore: now - 10, notAfter: now + 1000)
        let leaf = try authority.issue(
            LeafRequest(
                commonName: "system:node:n1", organizations: ["system:nodes", "b"], dnsNames: ["n1.example"], ipAddresses: ["10.0.0.1", "fd00::1"],
                usage: .both, validity: validity))
        let subject = try CertificateSubject.read(pem: leaf.certificatePEM)
        #expect(subject.commonName == "system:node:n1")
        #expect(subject.organizations == ["system:nodes", "b"])
        #expect(subject.notBefore == validity.notBefore && subject.notAfter == validity.notAfter)
        #expect(subject.dnsNames == ["n1.example"])
        #expect(subject.ipAddresses == [[10, 0, 0, 1], [0xFD] + [UInt8](repeating: 0, count: 14) + [1]])
        #expect(subject.serial.count == 16)
    }

    @Test("an authority can be loaded again and goes on issuing; a foreign key is refused")
    func loading() async throws {
        let authority = try CertificateAuthority(commonName: "ca", validity: year())
        let other = try CertificateAuthority(commonName: "ca", validity: year())
        let again = try CertificateAuthority(certificatePEM: authority.certificatePEM, privateKeyPEM: authority.privateKeyPEM)
        let leaf = try again.issue(LeafRequest(commonName: "u", usage: .client, validity: year()))
        let verifier = try ClientCertificateVerifier(caPEM: authority.certificatePEM)
        #expect(await verifier.validate(try PEM.der(leaf.certificatePEM))?.count == 2)
        #expect(throws: CertificateError.self) {
            try CertificateAuthority(certificatePEM: authority.certificatePEM, privateKeyPEM: other.privateKeyPEM)
        }
        #expect(throws: CertificateError.self) {
            try CertificateAuthority(certificatePEM: leaf.certificatePEM, privateKeyPEM: leaf.privateKeyPEM)
        }
    }

    @Test("clients of another authority, of a past validity, or of server use only are not validated")
    func verifier() async throws {
        let authority = try CertificateAuthority(commonName: "ca", validity: year())
        let other = try CertificateAuthority(commonName: "ca", validity: year())
        let verifier = try ClientCertificateVerifier(caPEM: authority.certificatePEM)
        let foreign = try other.issue(LeafRequest(commonName: "u", usage: .client, validity: year()))
        let past = try authority.issue(
            LeafRequest(commonName: "u", usage: .client, validity: CertificateValidity(notBefore: now - 1000, notAfter: now - 10)))
        let future = try authority.issue(
            LeafRequest(commonName: "u", usage: .client, validity: CertificateValidity(notBefore: now + 1000, notAfter: now + 2000)))
        let server = try authority.issue(LeafRequest(commonName: "u", usage: .server, validity: year()))
        for leaf in [foreign, past, future, server] { #expect(await verifier.validate(try PEM.der(leaf.certificatePEM)) == nil) }
        #expect(await verifier.validate([[1, 2, 3]]) == nil)
        #expect(await verifier.validate([]) == nil)
        let both = try authority.issue(LeafRequest(commonName: "u", usage: .both, validity: year()))
        #expect(await verifier.validate(try PEM.der(both.certificatePEM)) != nil)
    }

    @Test("names and times that cannot be certified are refused")
    func refusals() throws {
        let authority = try CertificateAuthority(commonName: "ca", validity: year())
        let bad = [
            LeafRequest(commonName: "", usage: .client, validity: year()),
            LeafRequest(commonName: "u", dnsNames: ["a b"], usage: .client, validity: year()),
            LeafRequest(commonName: "u", ipAddresses: ["10.0.0.256"], usage: .client, validity: year()),
            LeafRequest(commonName: "u", usage: .client, validity: CertificateValidity(notBefore: 10, notAfter: 10)),
            LeafRequest(commonName: "u", usage: .client, validity: CertificateValidity(notBefore: 0, notAfter: .max)),
        ]
        for request in bad { #expect(throws: CertificateError.self) { try authority.issue(request) } }
        #expect(throws: CertificateError.self) { try CertificateSubject.read(der: [0x30, 0x03, 0x02]) }
        #expect(throws: CertificateError.self) { try ClientCertificateVerifier(caPEM: "") }
    }

    @Test("openssl's strict verification accepts the chain")
    func openssl() async throws {
        let folder = try temporaryFolder()
        defer { try? FileManager.default.removeItem(atPath: folder) }  // Litter in a temporary folder fails no test.
        let authority = try CertificateAuthority(commonName: "kubernetes", validity: year())
        let leaf = try authority.issue(LeafRequest(commonName: "s", dnsNames: ["s.example"], usage: .server, validity: year()))
        try SecretFile.writePublic("\(folder)/ca.pem", Array(authority.certificatePEM.utf8))
        try SecretFile.writePublic("\(folder)/leaf.pem", Array(leaf.certificatePEM.utf8))
        let result = try await run([
            "openssl", "verify", "-x509_strict", "-purpose", "sslserver", "-verify_hostname", "s.example", "-CAfile", "\(folder)/ca.pem",
            "\(folder)/leaf.pem",
        ])
        #expect(result.status == 0, "\(result.output)")
    }

    @Test("a signing request made by openssl is read, checked and certified")
    func signingRequest() async throws {
        let made = try await run([
            "openssl", "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", "/dev/null", "-subj",
            "/O=system:nodes/CN=system:node:n1", "-addext", "subjectAltName=DNS:n1,IP:10.0.0.1",
        ])
        let start = try #require(made.output.range(of: "-----BEGIN CERTIFICATE REQUEST-----"))
        let request = try SigningRequest(pem: String(made.output[start.lowerBound...]))
        #expect(request.commonName == "system:node:n1" && request.organizations == ["system:nodes"])
        #expect(request.dnsNames == ["n1"] && request.ipAddresses == [[10, 0, 0, 1]])
        let authority = try CertificateAuthority(commonName: "ca", validity: year())
        let pem = try authority.certify(request, LeafRequest(commonName: request.commonName, usage: .client, validity: year()))
        let verifier = try ClientCertificateVerifier(caPEM: authority.certificatePEM)
        #expect(await verifier.validate(try PEM.der(pem)) != nil)
    }

    @Test("a secret file has mode 0600, is replaced whole, and is refused when others may read it")
    func secretFile() throws {
        let folder = try temporaryFolder()
        defer { try? FileManager.default.removeItem(atPath: folder) }  // Litter in a temporary folder fails no test.
        let path = "\(folder)/key.pem"
        try SecretFile.write(path, Array("one".utf8))
        try SecretFile.write(path, Array("two".utf8))
        #expect(try SecretFile.read(path) == Array("two".utf8))
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder) == ["key.pem"])
        let mode = try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? Int
        #expect(mode == 0o600)
        #expect(chmod(path, 0o644) == 0)
        #expect(throws: CertificateError.self) { try SecretFile.read(path) }
        #expect(throws: CertificateError.file("cannot create \(folder)/no/key.pem: no such file or directory")) {
            do { try SecretFile.write("\(folder)/no/key.pem", []) } catch CertificateError.file(let text) {
                // The temporary file's random part is of no interest.
                throw CertificateError.file(text.replacing(/\.[0-9a-z]+\.tmp/, with: ""))
            }
        }
    }
}
