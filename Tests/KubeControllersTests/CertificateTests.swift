import Certificates
import KubeAPI
import Testing

@testable import KubeControllers

/// PKCS#10 requests in PEM, in base 64, as spec.request carries them.
enum CertificateRequests {
    static let node =
        "LS0tLS1CRUdJTiBDRVJUSUZJQ0FURSBSRVFVRVNULS0tLS0KTUlIcU1JR1NBZ0VBTURBeEZUQVRCZ05WQkFvTURITjVjM1JsYlRwdWIyUmxjek"
        + "VYTUJVR0ExVUVBd3dPYzNsegpkR1Z0T201dlpHVTZiakV3V1RBVEJnY3Foa2pPUFFJQkJnZ3Foa2pPUFFNQkJ3TkNBQVF2c280eFY0Q2Q5bEpY"
        + "CjFSMVByaFJHdWJTRFU5MTBzV3hHcjNtd1dKWnVaREFPUFlUdlhLZmR4ZC9rMkJJSm45dWIreDkwNHNWbm10NTAKVGxtQWw3bHVvQUF3Q2dZSU"
        + "tvWkl6ajBFQXdJRFJ3QXdSQUlnVE1Od0dOMnpsZ3ZjOEFZL3Nqd1hmNDZZS29IegpiRVM3ZHk4R3VXWDdlNDhDSUQyY3BUeXhsd1crakJVVkQx"
        + "Z1pVallhMEJQUXN1QUcxQWlFTnUyajcrTzAKLS0tLS1FTkQgQ0VSVElGSUNBVEUgUkVRVUVTVC0tLS0tCg=="
    static let jane =
        "LS0tLS1CRUdJTiBDRVJUSUZJQ0FURSBSRVFVRVNULS0tLS0KTUlIbU1JR05BZ0VBTUNzeEREQUtCZ05WQkFvTUEyUmxkakVNTUFvR0ExVUVDZ3"
        + "dEYjNCek1RMHdDd1lEVlFRRApEQVJxWVc1bE1Ga3dFd1lIS29aSXpqMENBUVlJS29aSXpqMERBUWNEUWdBRUw3S09NVmVBbmZaU1Y5VWRUNjRV"
        + "ClJybTBnMVBkZExGc1JxOTVzRmlXYm1Rd0RqMkU3MXluM2NYZjVOZ1NDWi9ibS9zZmRPTEZaNXJlZEU1WmdKZTUKYnFBQU1Bb0dDQ3FHU000OU"
        + "JBTUNBMGdBTUVVQ0lRRC8xTDVOWUtucXZka2JBcE5tKzIvYk95RTRlWkpDRnhHWgppUzNvZHgyV0V3SWdSL0tOS0VHYTdYV2tyY1JWbjZ6dXhS"
        + "WlVuc2JUUGNHVjRlWWRsVmQ5Y3RjPQotLS0tLUVORCBDRVJUSUZJQ0FURSBSRVFVRVNULS0tLS0K"
    static let serving =
        "LS0tLS1CRUdJTiBDRVJUSUZJQ0FURSBSRVFVRVNULS0tLS0KTUlJQkVUQ0J1QUlCQURBd01SVXdFd1lEVlFRS0RBeHplWE4wWlcwNmJtOWtaWE"
        + "14RnpBVkJnTlZCQU1NRG5ONQpjM1JsYlRwdWIyUmxPbTR4TUZrd0V3WUhLb1pJemowQ0FRWUlLb1pJemowREFRY0RRZ0FFTDdLT01WZUFuZlpT"
        + "ClY5VWRUNjRVUnJtMGcxUGRkTEZzUnE5NXNGaVdibVF3RGoyRTcxeW4zY1hmNU5nU0NaL2JtL3NmZE9MRlo1cmUKZEU1WmdKZTVicUFtTUNRR0"
        + "NTcUdTSWIzRFFFSkRqRVhNQlV3RXdZRFZSMFJCQXd3Q29JQ2JqR0hCQW9BQUFFdwpDZ1lJS29aSXpqMEVBd0lEU0FBd1JRSWhBS205TnJ6ekJo"
        + "eThmS1dLc2NyWVBrZ1BjV2FsNjhNaXBPTzNhRk12Cmw0Q01BaUFwMjBGcFA5bGhmZ2cxNUtvYkxkRmZDYzZ1STVVeHBEYTcrQ0RTc0RhODNRPT"
        + "0KLS0tLS1FTkQgQ0VSVElGSUNBVEUgUkVRVUVTVC0tLS0tCg=="
    static let masters =
        "LS0tLS1CRUdJTiBDRVJUSUZJQ0FURSBSRVFVRVNULS0tLS0KTUlIaU1JR0tBZ0VBTUNneEZ6QVZCZ05WQkFvTURuTjVjM1JsYlRwdFlYTjBaWE"
        + "p6TVEwd0N3WURWUVFEREFSeQpiMjkwTUZrd0V3WUhLb1pJemowQ0FRWUlLb1pJemowREFRY0RRZ0FFTDdLT01WZUFuZlpTVjlVZFQ2NFVScm0w"
        + "CmcxUGRkTEZzUnE5NXNGaVdibVF3RGoyRTcxeW4zY1hmNU5nU0NaL2JtL3NmZE9MRlo1cmVkRTVaZ0plNWJxQUEKTUFvR0NDcUdTTTQ5QkFNQ0"
        + "EwY0FNRVFDSUFTVVFvdzgvNHRhWmlpRXp0WXJkSmlvOWJaaW5OL2E3L2tEd2U5VQpCSU1vQWlCT2liaythK3pqNTROa2VmMlJROVpvVkxVNXRM"
        + "bG96VGxRTGhFZUlTZkE1dz09Ci0tLS0tRU5EIENFUlRJRklDQVRFIFJFUVVFU1QtLS0tLQo="
}

@Suite("Certificates: approving, signing, cleaning")
struct CertificateControllerTests {
    private let clientUsages: Value = ["digital signature", "key encipherment", "client auth"]

    private func request(
        _ pem: String, signer: String, usages: Value? = nil, user: String = "system:node:n1", status: Value = [:], seconds: Int64? = nil
    ) throws -> CertificateRequestView {
        var spec: Value = ["request": .string(pem), "signerName": .string(signer), "username": .string(user), "usages": usages ?? clientUsages]
        if let seconds { spec["expirationSeconds"] = .int(seconds) }
        return CertificateRequestView(
            try object([
                "metadata": ["name": "csr", "uid": "u", "creationTimestamp": .string(epoch.rfc3339)], "spec": spec, "status": status,
            ]))
    }

    @Test("a node's own request is recognised as such, another's as a node's, and no other at all")
    func recognisers() throws {
        let own = try request(CertificateRequests.node, signer: SignerRules.kubeletClient)
        #expect(CertificateApprovingController.recognizers(own).map(\.subresource) == ["selfnodeclient", "nodeclient"])
        let bootstrap = try request(CertificateRequests.node, signer: SignerRules.kubeletClient, user: "system:bootstrap:x")
        #expect(CertificateApprovingController.recognizers(bootstrap).map(\.subresource) == ["nodeclient"])
        #expect(CertificateApprovingController.recognizers(try request(CertificateRequests.jane, signer: SignerRules.kubeletClient)).isEmpty)
        #expect(CertificateApprovingController.recognizers(try request(CertificateRequests.node, signer: SignerRules.apiServerClient)).isEmpty)
    }

    @Test("signers refuse what is not theirs, in upstream's words")
    func rules() throws {
        func problem(_ pem: String, _ signer: String, _ usages: [String]) throws -> String? {
            SignerRules.problem(try request(pem, signer: signer).signingRequest(), signer: signer, usages: usages)
        }
        let client = ["digital signature", "key encipherment", "client auth"]
        #expect(try problem(CertificateRequests.jane, SignerRules.apiServerClient, client) == nil)
        #expect(
            try problem(CertificateRequests.jane, SignerRules.apiServerClient, ["server auth"]) == "invalid usage for client certificate: server auth"
        )
        #expect(
            try problem(CertificateRequests.jane, SignerRules.apiServerClient, ["digital signature"])
                == "missing required usage for client certificate: client auth")
        #expect(try problem(CertificateRequests.jane, SignerRules.kubeletClient, client) == "subject organization is not system:nodes")
        #expect(try problem(CertificateRequests.serving, SignerRules.kubeletClient, client) == "DNS subjectAltNames are not allowed")
        #expect(try problem(CertificateRequests.node, SignerRules.kubeletClient, ["client auth"])?.hasPrefix("usages did not match") == true)
        #expect(try problem(CertificateRequests.serving, SignerRules.kubeletServing, ["digital signature", "server auth"]) == nil)
        #expect(
            try problem(CertificateRequests.node, SignerRules.kubeletServing, ["digital signature", "server auth"])
                == "DNS or IP subjectAltName is required")
    }

    @Test("a signed certificate has the request's subject and names and the time that was asked")
    func signing() throws {
        let now = Timestamp.now
        let authority = try CertificateAuthority(
            commonName: "kubernetes", validity: CertificateValidity(notBefore: now.seconds - 60, notAfter: now.seconds + 86400))
        let view = try request(CertificateRequests.jane, signer: SignerRules.apiServerClient, seconds: 3600)
        let signed = try CertificateSigningController.signed(view, authority, now: now)
        let encoded = try #require(signed[path: "status", "certificate"]?.string)
        let subject = try CertificateSubject.read(pem: String(decoding: try #require(Base64.decode(encoded)), as: UTF8.self))
        #expect(subject.commonName == "jane" && subject.organizations == ["dev", "ops"])
        #expect(subject.notAfter == now.seconds + 3600)
        let serving = try CertificateSigningController.signed(
            try request(CertificateRequests.serving, signer: SignerRules.kubeletServing, usages: ["digital signature", "server auth"]), authority,
            now: now)
        let names = try CertificateSubject.read(
            pem: String(decoding: try #require(Base64.decode(serving[path: "status", "certificate"]?.string ?? "")), as: UTF8.self))
        #expect(names.dnsNames == ["n1"] && names.ipAddresses == [[10, 0, 0, 1]])
        let failed = try CertificateSigningController.signed(
            try request(CertificateRequests.jane, signer: SignerRules.kubeletClient), authority, now: now)
        let condition = failed[path: "status", "conditions"]?.array?.first
        #expect(condition?["type"] == "Failed" && condition?["reason"] == "SignerValidationFailure")
        #expect(condition?["message"] == "subject organization is not system:nodes")
    }

    @Test("base 64 goes both ways", arguments: ["", "a", "ab", "abc", "abcd", "\u{0}\u{ff}xyz"])
    func base64(text: String) throws {
        #expect(String(decoding: try #require(Base64.decode(Base64.encode(Array(text.utf8)))), as: UTF8.self) == text)
    }

    @Test("a request is kept for an hour after its end, and for a day when nobody decides")
    func cleaning() throws {
        func end(_ status: Value) throws -> Double {
            CertificateCleanerController.end(of: try request("", signer: "x/y", status: status)).timeInterval(since: epoch)
        }
        func decided(_ type: String) -> Value {
            ["type": .string(type), "status": "True", "lastUpdateTime": .string(epoch.adding(seconds: 10).rfc3339)]
        }
        #expect(try end([:]) == 86400)
        #expect(try end(["conditions": [decided("Denied")]]) == 3610)
        #expect(try end(["conditions": [decided("Approved")]]) == 86400, "approved but not signed is pending")
        #expect(try end(["conditions": [decided("Approved")], "certificate": "eA=="]) == 3610)
    }
}

@Suite("Protection and time to live")
struct ProtectionTests {
    @Test("a claim is in use from when its pod has a node until it has ended")
    func claims() throws {
        func user(node: String, phase: String) throws -> Object {
            var value = try pod("p", node: node, phase: phase).value
            value[path: "spec", "volumes"] = [
                ["name": "data", "persistentVolumeClaim": ["claimName": "c"]], ["name": "scratch", "ephemeral": [:]], ["name": "x", "emptyDir": [:]],
            ]
            return try object(value)
        }
        #expect(ClaimProtectionController.claims(of: try user(node: "n", phase: "Running")) == ["default/c", "default/p-scratch"])
        #expect(ClaimProtectionController.isUsed(by: try user(node: "n", phase: "Running")))
        #expect(!ClaimProtectionController.isUsed(by: try user(node: "", phase: "Pending")))
        #expect(!ClaimProtectionController.isUsed(by: try user(node: "n", phase: "Succeeded")))
    }

    @Test("a volume is protected from its making on and let go when it is no longer bound")
    func volumes() throws {
        func volume(deleting: Bool, protected: Bool, phase: String) throws -> Object {
            var metadata: Value = ["name": "v"]
            if deleting { metadata["deletionTimestamp"] = .string(epoch.rfc3339) }
            if protected { metadata["finalizers"] = [.string(VolumeProtectionController.finalizer)] }
            return try object(["metadata": metadata, "status": ["phase": .string(phase)]])
        }
        #expect(VolumeProtectionController.plan(try volume(deleting: false, protected: false, phase: "Available")) == true)
        #expect(VolumeProtectionController.plan(try volume(deleting: false, protected: true, phase: "Bound")) == nil)
        #expect(VolumeProtectionController.plan(try volume(deleting: true, protected: true, phase: "Bound")) == nil)
        #expect(VolumeProtectionController.plan(try volume(deleting: true, protected: true, phase: "Released")) == false)
    }

    @Test("a volume attributes class is used by whoever has it, wants it or is being brought to it")
    func attributesClasses() throws {
        let claim = try object([
            "spec": ["volumeAttributesClassName": "gold"],
            "status": ["currentVolumeAttributesClassName": "silver", "modifyVolumeStatus": ["targetVolumeAttributesClassName": "gold"]],
        ])
        #expect(Set(AttributesClassProtectionController.classes(of: claim)) == ["gold", "silver"])
        #expect(AttributesClassProtectionController.classes(of: try object(["spec": ["volumeAttributesClassName": ""]])).isEmpty)
    }

    @Test("a finished job goes after its time, one that runs or has no such time does not")
    func timeToLive() throws {
        func job(_ ttl: Int64?, _ type: String?) throws -> Object {
            var value: Value = ["metadata": ["name": "j"], "spec": [:]]
            if let ttl { value[path: "spec", "ttlSecondsAfterFinished"] = .int(ttl) }
            if let type {
                value["status"] = ["conditions": [["type": .string(type), "status": "True", "lastTransitionTime": .string(epoch.rfc3339)]]]
            }
            return try object(value)
        }
        let now = epoch.adding(seconds: 40)
        #expect(TTLAfterFinishedController.secondsLeft(try job(100, "Complete"), now: now) == 60)
        #expect(TTLAfterFinishedController.secondsLeft(try job(0, "Failed"), now: now) == -40)
        #expect(TTLAfterFinishedController.secondsLeft(try job(100, "Suspended"), now: now) == nil)
        #expect(TTLAfterFinishedController.secondsLeft(try job(nil, "Complete"), now: now) == nil)
    }

    @Test("a ReplicationController is a ReplicaSet with a plain selector")
    func replicationController() throws {
        let controller = try object(["spec": ["selector": ["app": "web"]]])
        #expect(try ReplicaKind.replicationController.selector(controller).matches(["app": "web", "x": "y"]))
        #expect(try !ReplicaKind.replicationController.selector(controller).matches(["app": "db"]))
    }
}
