import Certificates
import FoundationEssentials
import Glibc
import HTTPTransport
import KubeAPI
import KubeClient
import Testing

@testable import ControlPlane

/// The rotation of a cluster's certificate authority, state by state, as clients of its real listeners see it.
@Suite struct AuthorityTests {
    private static let next = "ca-11111111-2222-3333-4444-555555555555"
    private static let both = ClusterAuthorities(signer: "ca", trusted: ["ca", next])
    private static let activated = ClusterAuthorities(signer: next, trusted: ["ca", next])
    private static let alone = ClusterAuthorities(signer: next, trusted: [next])

    private func text(_ fixture: ControlPlaneTests.Fixture, _ file: String) throws -> String {
        try #require(try PrivateFile.read("\(fixture.directory)/cluster/\(file)"))
    }

    /// An administrator's certificate by one of the cluster's authorities.
    private func administrator(_ fixture: ControlPlaneTests.Fixture, by name: String) throws -> TLSIdentity {
        let authority = try CertificateAuthority(
            certificatePEM: try text(fixture, "\(name).pem"), privateKeyPEM: try text(fixture, "\(name).key"))
        let validity = CertificateValidity(now: Timestamp.now.seconds, seconds: 3600)
        let leaf = try authority.issue(LeafRequest(commonName: "root", organizations: ["system:masters"], usage: .client, validity: validity))
        return TLSIdentity(certificateChainPEM: leaf.certificatePEM, privateKeyPEM: leaf.privateKeyPEM)
    }

    /// What a client gets that believes `roots`: the status, or nil when it does not believe the server.
    private func status(_ fixture: ControlPlaneTests.Fixture, roots: String, _ identity: TLSIdentity) async throws -> Int? {
        let port = Int(fixture.endpoint.url.split(separator: ":").last ?? "") ?? 0
        let client = try HTTPClient(
            configuration: .init(address: .tcp(host: "127.0.0.1", port: port), tls: .init(rootsPEM: roots, identity: identity)))
        do {
            let status = try await client.execute("GET", "/api/v1/namespaces").status
            await client.close()
            return status
        } catch HTTPError.tls { return nil }
    }

    private func rootCA(_ fixture: ControlPlaneTests.Fixture) async throws -> String? {
        do {
            return try await fixture.client.get(.configMaps, namespace: "default", name: "kube-root-ca.crt")["data"]["ca.crt"].string
        } catch let error as StatusError where error.isNotFound { return nil }
    }

    @Test("a successor is believed, then signs, then the old one counts for nothing")
    func rotation() async throws {
        var fixture = try await ControlPlaneTests.Fixture.start()
        let directory = fixture.directory
        let oldRoot = try text(fixture, "ca.pem")
        let old = try administrator(fixture, by: "ca")
        #expect(fixture.endpoint.certificateAuthorityPEM == oldRoot)
        await fixture.controlPlane.stop()

        fixture = try await ControlPlaneTests.Fixture.start(in: directory, authorities: Self.both)
        let newRoot = try text(fixture, "\(Self.next).pem")
        let new = try administrator(fixture, by: Self.next)
        #expect(fixture.endpoint.certificateAuthorityPEM == oldRoot + newRoot)
        for name in ["ca", Self.next] {
            var status = stat()
            #expect(stat("\(directory)/cluster/\(name).key", &status) == 0 && status.st_mode & 0o777 == 0o600)
        }
        // Who knows the old one alone goes on; certificates of both count.
        #expect(try await status(fixture, roots: oldRoot, old) == 200)
        #expect(try await status(fixture, roots: oldRoot, new) == 200)
        #expect(try await status(fixture, roots: newRoot, old) == nil)
        let bundle = fixture.endpoint.certificateAuthorityPEM
        try await fixture.eventually("pods believe both") { try await rootCA(fixture) == bundle }
        let trust = try await fixture.client.get(.configMaps, namespace: "kube-system", name: "extension-apiserver-authentication")
        #expect(trust["data"]["client-ca-file"].string == bundle)
        await fixture.controlPlane.stop()

        fixture = try await ControlPlaneTests.Fixture.start(in: directory, authorities: Self.activated)
        #expect(fixture.endpoint.certificateAuthorityPEM == newRoot + oldRoot)
        #expect(try await status(fixture, roots: oldRoot, old) == nil)
        #expect(try await status(fixture, roots: newRoot, old) == 200)
        #expect(try await status(fixture, roots: oldRoot + newRoot, new) == 200)
        // A client that is given new certificates goes on with them; unusable ones change nothing.
        let port = Int(fixture.endpoint.url.split(separator: ":").last ?? "") ?? 0
        let transport = try NetworkTransport(
            .init(address: .tcp(host: "127.0.0.1", port: port), certificateAuthorityPEM: oldRoot, credentials: .clientCertificate(old)))
        await #expect(throws: HTTPError.self) { try await KubeClient(transport: transport).list(.namespaces) }
        try transport.renew(certificateAuthorityPEM: newRoot, identity: new)
        #expect(throws: HTTPError.self) {
            try transport.renew(certificateAuthorityPEM: "", identity: TLSIdentity(certificateChainPEM: "", privateKeyPEM: ""))
        }
        #expect(try await !KubeClient(transport: transport).list(.namespaces).items.isEmpty)
        await transport.close()
        await fixture.controlPlane.stop()

        fixture = try await ControlPlaneTests.Fixture.start(in: directory, authorities: Self.alone)
        #expect(fixture.endpoint.certificateAuthorityPEM == newRoot)
        #expect(try await status(fixture, roots: newRoot, old) == 401)
        #expect(try await status(fixture, roots: newRoot, new) == 200)
        try await fixture.eventually("pods believe the new one") { try await rootCA(fixture) == newRoot }
        for _ in 0..<2 { try ClusterAuthorities.remove("ca", in: "\(directory)/cluster") }
        #expect(access("\(directory)/cluster/ca.key", F_OK) != 0 && access("\(directory)/cluster/ca.pem", F_OK) != 0)
        await fixture.controlPlane.stop()
        try FileManager.default.removeItem(atPath: directory)
    }

    @Test("approved signing requests are certified by the one that signs")
    func signer() async throws {
        let fixture = try await ControlPlaneTests.Fixture.start(authorities: Self.activated)
        let verifier = try ClientCertificateVerifier(caPEM: try text(fixture, "\(Self.next).pem"))
        try await fixture.client.create(
            .certificateSigningRequests,
            [
                "apiVersion": "certificates.k8s.io/v1", "kind": "CertificateSigningRequest", "metadata": ["name": "jane"],
                "spec": [
                    "request": .string(try Self.request()), "signerName": "kubernetes.io/kube-apiserver-client", "usages": ["client auth"],
                ],
            ])
        var tree = try await fixture.client.get(.certificateSigningRequests, name: "jane").value
        tree[path: "status", "conditions"] = [["type": "Approved", "status": "True", "reason": "Test", "message": "approved"]]
        try await fixture.client.update(.certificateSigningRequests, tree, subresource: "approval")
        try await fixture.eventually("the certificate") {
            try await fixture.client.get(.certificateSigningRequests, name: "jane")["status"]["certificate"].string != nil
        }
        let signed = try await fixture.client.get(.certificateSigningRequests, name: "jane")["status"]["certificate"].string ?? ""
        let pem = String(decoding: try #require(Data(base64Encoded: signed)), as: UTF8.self)
        #expect(await verifier.validate(try PEM.der(pem)) != nil)
        await fixture.controlPlane.stop()
        try FileManager.default.removeItem(atPath: fixture.directory)
    }

    /// Asks as whom `identity` names, and waits for the certificate: its subject, or nil when nobody approves.
    private func renewed(
        _ fixture: ControlPlaneTests.Fixture, _ identity: TLSIdentity, _ key: KeyRequest, signer: String, usage: String, expectsApproval: Bool = true
    ) async throws -> CertificateSubject? {
        let client = try client(fixture, .clientCertificate(identity))
        let pem = try await certified(fixture, client, key, signer: signer, usage: usage, expectsApproval: expectsApproval)
        return try pem.map { try CertificateSubject.read(pem: $0) }
    }

    private func client(_ fixture: ControlPlaneTests.Fixture, _ credentials: NetworkTransport.Credentials) throws -> KubeClient {
        let port = Int(fixture.endpoint.url.split(separator: ":").last ?? "") ?? 0
        let transport = try NetworkTransport(
            .init(
                address: .tcp(host: "127.0.0.1", port: port), certificateAuthorityPEM: fixture.endpoint.certificateAuthorityPEM,
                credentials: credentials))
        return KubeClient(transport: transport)
    }

    /// The certificate in PEM that `client` is given; nil when nobody approves.
    private func certified(
        _ fixture: ControlPlaneTests.Fixture, _ client: KubeClient, _ key: KeyRequest, signer: String, usage: String, expectsApproval: Bool = true
    ) async throws -> String? {
        let name = try await client.create(
            .certificateSigningRequests,
            [
                "apiVersion": "certificates.k8s.io/v1", "kind": "CertificateSigningRequest", "metadata": ["generateName": "csr-"],
                "spec": [
                    "request": .string(Data(key.requestPEM.utf8).base64EncodedString()), "signerName": .string("kubernetes.io/\(signer)"),
                    "usages": ["digital signature", .string(usage)],
                ],
            ]
        ).metadata.name
        func certificate() async throws -> String? {
            try await client.get(.certificateSigningRequests, name: name)["status"]["certificate"].string
        }
        guard expectsApproval else {
            // One that comes later and is approved shows that this one was looked at.
            return try await certificate()
        }
        try await fixture.eventually("a certificate by \(signer)") { try await certificate() != nil }
        let pem = Data(base64Encoded: try await certificate() ?? "") ?? Data()
        return String(decoding: pem, as: UTF8.self)
    }

    @Test("a node renews its kubelet's certificates and its proxy's by itself, as itself alone and for its instance's names")
    func renewal() async throws {
        let fixture = try await ControlPlaneTests.Fixture.start()
        let pki = try ClusterPKI(directory: "\(fixture.directory)/cluster")
        let node = try pki.node(name: "cloud-1", addresses: ["10.0.0.1"], lifetime: 3600)
        let (name, groups) = ("system:node:cloud-1", ["system:nodes"])
        let stolen = try KeyRequest(commonName: name, organizations: groups, dnsNames: ["kubernetes"])
        let none = try await renewed(fixture, node.client, stolen, signer: "kubelet-serving", usage: "server auth", expectsApproval: false)
        #expect(none == nil)
        let client = try await renewed(
            fixture, node.client, KeyRequest(commonName: name, organizations: groups), signer: "kube-apiserver-client-kubelet", usage: "client auth")
        #expect(client?.commonName == name && client?.organizations == groups)
        let serving = try await renewed(
            fixture, node.client, KeyRequest(commonName: name, organizations: groups, dnsNames: ["cloud-1"], ipAddresses: ["10.0.0.1"]),
            signer: "kubelet-serving", usage: "server auth")
        #expect(serving?.dnsNames == ["cloud-1"] && serving?.ipAddresses == [[10, 0, 0, 1]])
        let proxy = try await renewed(
            fixture, node.proxy, KeyRequest(commonName: "system:kube-proxy"), signer: "kube-apiserver-client", usage: "client auth")
        #expect(proxy?.commonName == "system:kube-proxy")
        let requests = try await fixture.client.list(.certificateSigningRequests).items
        #expect(requests.count { $0["status"]["conditions"].elements.isEmpty } == 1)
        await fixture.controlPlane.stop()
        try FileManager.default.removeItem(atPath: fixture.directory)
    }

    @Test("a host without an instance becomes a node by its role's token: three certificates, its own Node, its own drain")
    func joining() async throws {
        let fixture = try await ControlPlaneTests.Fixture.start(remoteNodeNetworks: ["10.200.0.0/16"])
        let (name, groups) = ("system:node:lab-1", ["system:nodes"])
        let bearer = try client(fixture, .bearerToken { "outsider" })
        let reviews = GroupVersionResource(group: "authentication.k8s.io", version: "v1", resource: "selfsubjectreviews")
        let review = try await bearer.create(reviews, ["apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"])
        #expect(review["status"]["userInfo"]["username"].string == name)

        let key = try KeyRequest(commonName: name, organizations: groups)
        let pem = try #require(try await certified(fixture, bearer, key, signer: "kube-apiserver-client-kubelet", usage: "client auth"))
        let identity = TLSIdentity(certificateChainPEM: pem, privateKeyPEM: key.privateKeyPEM)
        let elsewhere = try await renewed(
            fixture, identity, KeyRequest(commonName: name, organizations: groups, dnsNames: ["lab-1"], ipAddresses: ["10.9.0.1"]),
            signer: "kubelet-serving", usage: "server auth", expectsApproval: false)
        #expect(elsewhere == nil)
        let serving = try await renewed(
            fixture, identity, KeyRequest(commonName: name, organizations: groups, dnsNames: ["lab-1"], ipAddresses: ["10.200.0.2"]),
            signer: "kubelet-serving", usage: "server auth")
        #expect(serving?.dnsNames == ["lab-1"] && serving?.ipAddresses == [[10, 200, 0, 2]])
        let proxy = try await renewed(
            fixture, identity, KeyRequest(commonName: "system:kube-proxy"), signer: "kube-apiserver-client", usage: "client auth")
        #expect(proxy?.commonName == "system:kube-proxy" && proxy?.organizations == [])

        let node = try client(fixture, .clientCertificate(identity))
        try await node.create(
            .nodes,
            [
                "apiVersion": "v1", "kind": "Node", "metadata": ["name": "lab-1", "labels": ["eks.amazonaws.com/compute-type": "hybrid"]],
                "spec": ["providerID": "eks-hybrid:///eu-1/test/lab-1"],
            ])
        #expect(try await NodeDrain(client: node, nodeName: "lab-1", patience: .seconds(10)).run())
        #expect(try await node.get(.nodes, name: "lab-1")["spec"]["unschedulable"].bool == true)
        await #expect(throws: StatusError.self) { try await node.delete(.nodes, name: "lab-1") }
        try await fixture.client.delete(.nodes, name: "lab-1")
        await fixture.controlPlane.stop()
        try FileManager.default.removeItem(atPath: fixture.directory)
    }

    /// A signing request in PEM, base64.
    private static func request() throws -> String {
        let folder = "/tmp/eyrie-csr-\(UInt64.random(in: 0 ... .max))"
        mkdir(folder, 0o700)
        defer { _ = try? FileManager.default.removeItem(atPath: folder) }
        let command = "openssl req -new -newkey rsa:2048 -nodes -keyout \(folder)/k -out \(folder)/r -subj /CN=jane 2>/dev/null"
        try #require(system(command) == 0)
        return try #require(FileManager.default.contents(atPath: "\(folder)/r")).base64EncodedString()
    }

    /// An address of this host that nodes could reach: endpoints may not be on loopback.
    private static func hostAddress() throws -> String {
        var list: UnsafeMutablePointer<ifaddrs>?
        try #require(getifaddrs(&list) == 0)
        defer { freeifaddrs(list) }
        var next = list
        while let entry = next {
            next = entry.pointee.ifa_next
            guard let address = entry.pointee.ifa_addr, address.pointee.sa_family == UInt16(AF_INET),
                entry.pointee.ifa_flags & UInt32(IFF_LOOPBACK) == 0
            else { continue }
            var text = [CChar](repeating: 0, count: Int(NI_MAXHOST))
            let length = socklen_t(MemoryLayout<sockaddr_in>.size)
            guard getnameinfo(address, length, &text, socklen_t(text.count), nil, 0, NI_NUMERICHOST) == 0 else { continue }
            return String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
        }
        throw CertificateError.malformed("this host has no address but loopback ones")
    }

    @Test("a node's files are by the authorities that are asked for, and its word that it goes by them is waited for")
    func nodes() async throws {
        let fixture = try await ControlPlaneTests.Fixture.start(authorities: Self.both, privateAddresses: [try Self.hostAddress()])
        let node = ControlPlane.Node(
            name: "n1", address: "10.0.0.4", instanceID: "i-1", zone: "us-west-2a", vcpus: 2, memoryMiB: 4096, maxPods: 17, labels: [:], taints: [])
        for (authorities, name) in [(nil, "ca"), (Self.activated, Self.next)] as [(ClusterAuthorities?, String)] {
            let files = try await fixture.controlPlane.nodeFiles(node, authorities: authorities)
            #expect(files.keys.sorted() == ["certificates.json", "node.json"])
            let root = try JSONDocument(files[ClusterAuthorities.nodeFile] ?? []).root
            let verifier = try ClientCertificateVerifier(caPEM: try text(fixture, "\(name).pem"))
            for identity in ["client", "proxy"] {
                let chain = try PEM.der(root[identity]["certificate"].string ?? "")
                #expect(await verifier.validate(chain) != nil, "\(identity) by \(name)")
            }
            #expect(try PEM.der(root["authorities"].string ?? "").count == 2)
            #expect(root["revision"].string == (authorities ?? Self.both).revision)
        }
        try await fixture.client.create(.nodes, ["apiVersion": "v1", "kind": "Node", "metadata": ["name": "n1"]])
        #expect(await !fixture.controlPlane.node("n1", goesBy: Self.activated, patience: .milliseconds(50)))
        async let taken = fixture.controlPlane.node("n1", goesBy: Self.activated, patience: .seconds(30))
        let change: Value = ["metadata": ["annotations": [ClusterAuthorities.nodeAnnotation: .string(Self.activated.revision)]]]
        try await fixture.client.patch(.nodes, name: "n1", type: .merge, change)
        #expect(await taken)
        await fixture.controlPlane.stop()
        #expect(await !fixture.controlPlane.node("n1", goesBy: Self.activated, patience: .seconds(30)))
        try FileManager.default.removeItem(atPath: fixture.directory)
    }
}
