import AWSProtocol
import HTTPTransport
import Testing

@testable import AWSServices

@Suite struct InstanceMetadataTests {
    static let metadata = InstanceMetadata(
        instanceID: "i-1", account: "000000000000", region: "us-west-2", zone: "us-west-2a", zoneID: "usw2-az1", instanceType: "t3.medium",
        imageID: "ami-1", privateDNSName: "ip-10-0-0-5.us-west-2.compute.internal", primaryAddress: "10.0.0.5", addresses: ["10.0.0.5", "10.0.0.6"],
        macAddress: "02:00:00:00:00:01", interfaceID: "eni-1", subnetID: "subnet-1", subnetCIDR: "10.0.0.0/24", vpcID: "vpc-1",
        vpcCIDR: "10.0.0.0/16",
        securityGroupIDs: ["sg-1"], architecture: "x86_64", launchedAt: 0, roleName: "node", profileARN: "arn:p")

    @Test(
        "documents and folders are where SDKs and EKS's tools look for them",
        arguments: [
            ("meta-data/instance-id", "i-1"), ("meta-data/placement/region", "us-west-2"),
            ("meta-data/placement/", "availability-zone\navailability-zone-id\nregion"),
            ("meta-data/network/interfaces/macs/", "02:00:00:00:00:01/"),
            ("meta-data/network/interfaces/macs/02:00:00:00:00:01/local-ipv4s", "10.0.0.5\n10.0.0.6"),
            ("meta-data/iam/security-credentials/", "node"), ("meta-data/iam", "info\nsecurity-credentials/"), ("", "dynamic/\nmeta-data/"),
        ])
    func paths(_ path: String, _ text: String) { #expect(Self.metadata.answer(path) == .text(text)) }

    @Test("credentials are a document of their own; what is not there is missing")
    func others() throws {
        #expect(Self.metadata.answer("meta-data/iam/security-credentials/node") == .credentials)
        #expect(Self.metadata.answer("meta-data/none") == .missing && Self.metadata.answer("user-data") == .missing)
        guard case .text(let text) = Self.metadata.answer("dynamic/instance-identity/document") else { throw AWSError("missing", "") }
        #expect(try AWSJSON(parsing: Array(text.utf8))["instanceId"] == "i-1")
    }

    @Test("user data comes as it was given, tags where the instance may learn them, and a spot instance says so")
    func launched() {
        var metadata = Self.metadata
        metadata.userData = [0, 255]
        metadata.isSpot = true
        #expect(metadata.answer("user-data") == .bytes([0, 255]) && metadata.answer("") == .text("dynamic/\nmeta-data/\nuser-data"))
        #expect(metadata.answer("meta-data/instance-life-cycle") == .text("spot") && metadata.answer("meta-data/tags/instance") == .missing)
        metadata.tags = ["Name": "a", "b": "", "with/slash": "c"]
        #expect(metadata.answer("meta-data/tags/instance/") == .text("Name\nb") && metadata.answer("meta-data/tags/instance/Name") == .text("a"))
    }

    @Test("nothing is said of an end until there is one to come; then its time is where termination handlers look for it")
    func interruption() {
        var metadata = Self.metadata
        let paths = ["meta-data/spot/instance-action", "meta-data/spot/termination-time", "meta-data/events/recommendations/rebalance"]
        for path in paths + ["meta-data/spot", "meta-data/events"] { #expect(metadata.answer(path) == .missing) }
        metadata.interruption = SpotInterruption(noticedAt: 0, takenAt: 120)
        #expect(
            paths.map(metadata.answer) == [
                .text(#"{"action":"terminate","time":"1970-01-01T00:02:00Z"}"#), .text("1970-01-01T00:02:00Z"),
                .text(#"{"noticeTime":"1970-01-01T00:00:00Z"}"#),
            ])
    }

    private struct Next: HTTPResponder {
        func respond(to head: HTTPRequestHead, body: HTTPBodyStream) async -> HTTPResponse { HTTPResponse(status: 299) }
    }

    @Test("an instance is known by the address it asks from; others learn nothing", arguments: [("10.0.0.5", 200), ("10.0.0.6", 404)])
    func origin(_ address: String, _ status: Int) async {
        let service = InstanceMetadataService(
            metadata: { $0 == "10.0.0.5" ? Self.metadata : nil }, credentials: { _ in throw AWSError("x", "") }, next: Next())
        func answer(_ method: String, _ target: String) async -> Int {
            await service.respond(
                to: HTTPRequestHead(
                    method: method, target: target, fields: [:], authority: "x",
                    connection: ConnectionInfo(remoteAddress: "\(address):4000", localAddress: "169.254.171.1:7443")), body: .empty
            ).status
        }
        #expect(await answer("GET", "/latest/meta-data/instance-id") == status)
        #expect(await answer("GET", "/latest/meta-data/iam/security-credentials/node") == status)
        #expect(await answer("PUT", "/latest/meta-data/instance-id") == 405)
        #expect(await answer("GET", "/clusters") == 299)
    }
}
