import HTTPTransport
import KubeAPI
import Testing

@testable import KubeAPIServer

@Suite("Created objects are those of a stock API server") struct GoldenObjectTests {
    /// Without what differs from one creation to the next.
    private func settled(_ value: Value, sent: Value) -> Value {
        var value = value
        for field in ["uid", "creationTimestamp", "resourceVersion", "managedFields"] { value[path: "metadata", field] = nil }
        if value[path: "metadata"]?.object?.isEmpty == true, value["kind"] != "Status" { value["metadata"] = nil }
        if sent[path: "metadata", "generateName"] != nil { value[path: "metadata", "name"] = "generated" }
        if value["kind"] == "PersistentVolume" { value[path: "status", "lastPhaseTransitionTime"] = nil }
        // Here the policy is type checked as it is made; a stock cluster's controller does it afterwards.
        if value["kind"] == "ValidatingAdmissionPolicy" { value["status"] = nil }
        if value["kind"] == "Service" {
            if let address = value[path: "spec", "clusterIP"]?.string, address != "None" {
                value[path: "spec", "clusterIP"] = "given"
                value[path: "spec", "clusterIPs"] = ["given"]
            }
            value[path: "spec", "ports"] = value[path: "spec", "ports"]?.array.map { ports in
                .array(
                    ports.map { port in
                        var port = port
                        if port["nodePort"] != nil { port["nodePort"] = "given" }
                        return port
                    })
            }
        }
        return renamed(value)
    }

    /// Volumes of tokens have a random end, and jobs carry their UID.
    private func renamed(_ value: Value) -> Value {
        switch value {
        case .string(let text) where text.hasPrefix("kube-api-access-"): "kube-api-access-XXXXX"
        case .array(let items): .array(items.map(renamed))
        case .object(let members):
            .object(Members(members.map { ($0.0, $0.0.hasSuffix("controller-uid") ? "uid" : renamed($0.1)) }))
        default: value
        }
    }

    @Test("defaults, admission and validation give the recorded answer to 47 minimal objects")
    func answers() async throws {
        let server = try await ServedFixture.server()
        _ = await post(server, "/api/v1/namespaces/default/serviceaccounts", #"{"metadata":{"name":"default"}}"#)
        for line in try ServedFixture.lines("objects.jsonl") {
            let item = try Value(json: Array(line.utf8))
            let path = try #require(item["path"]?.string)
            let sent = try #require(item["sent"])
            let (status, answer) = await post(server, path + "?dryRun=All", sent.jsonString)
            #expect(Int64(status) == item["status"]?.int, "\(path) \(answer.jsonString)")
            var theirs = settled(item["returned"] ?? .null, sent: sent)
            // EKS's default class, which a stock server has not.
            if path.hasSuffix("/persistentvolumeclaims") { theirs[path: "spec", "storageClassName"] = "gp3" }
            let differences = ServedFixture.differences(settled(answer, sent: sent), theirs)
            #expect(differences == [], "\(path) \(sent[path: "metadata", "name"]?.string ?? "")")
        }
        await server.stop()
    }

    private func post(_ server: APIServer, _ target: String, _ body: String) async -> (Int, Value) {
        let bytes = OneBody(Array(body.utf8))
        let head = TestServer.head("POST", target, ["Content-Type": "application/json"])
        let response = await server.respond(to: head, body: HTTPBodyStream { await bytes.take() })
        guard case .bytes(let answer) = response.body else { return (response.status, .null) }
        return (response.status, (try? Value(json: answer)) ?? .null)
    }

    private actor OneBody {
        private var bytes: [UInt8]?
        init(_ bytes: [UInt8]) { self.bytes = bytes }
        func take() -> [UInt8]? {
            defer { bytes = nil }
            return bytes
        }
    }
}
