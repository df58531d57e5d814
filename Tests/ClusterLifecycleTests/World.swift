import AWSProtocol
import AWSServices
import Certificates
import Logging
import Testing

@testable import ClusterLifecycle

/// An account with two subnets, the two roles, and EKS over simulated hosts.
struct World: Sendable {
    static let clusterRole = "arn:aws:iam::000000000000:role/cluster"
    static let nodeRole = "arn:aws:iam::000000000000:role/node"

    let storage: MemoryRowStorage
    let identities: IdentityStore
    let network: EC2Network
    let keys: KMSKeys
    let hosts: SimulatedHosts
    let service: EKSService
    let caller: AWSCaller
    let iam: IAMService
    let ec2: EC2Service

    init(
        storage: MemoryRowStorage = MemoryRowStorage(), hosts: SimulatedHosts = SimulatedHosts(), joinTimeout: Duration = .seconds(900),
        slowJoin: Duration = .seconds(30),
        isNew: Bool = true, firstRetry: Duration = .milliseconds(5), clock: AWSClock = .system, evictionTimeout: Duration = .seconds(900)
    ) async throws {
        self.storage = storage
        self.hosts = hosts
        identities = try await IdentityStore(storage: storage)
        network = try await EC2Network(storage: storage, account: identities.account, region: "eu-central-1")
        keys = try await KMSKeys(
            storage: storage, account: identities.account, region: "eu-central-1", seal: try EnvelopeKey(EnvelopeKey.newKey()),
            clock: clock)
        let admin = try await identities.administratorCredentials()
        caller = try #require(await identities.credential(accessKeyID: admin.accessKeyID)).caller
        var configuration = EKSConfiguration(region: "eu-central-1", account: identities.account)
        configuration.nodeJoinTimeout = joinTimeout
        configuration.slowJoin = slowJoin
        configuration.evictionTimeout = evictionTimeout
        configuration.firstRetry = firstRetry
        configuration.longestRetry = max(firstRetry, .milliseconds(20))
        service = try await EKSService(
            configuration: configuration, storage: storage, network: network, identities: identities, keys: keys, controlPlanes: hosts,
            machines: hosts, clock: clock,
            logger: Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() }))
        iam = IAMService(identities: identities)
        ec2 = EC2Service(network: network, authorizer: identities)
        guard isNew else { return }
        try await role("cluster", service: "eks.amazonaws.com", policies: ["AmazonEKSClusterPolicy"])
        try await role("node", service: "ec2.amazonaws.com", policies: ["AmazonEKSWorkerNodePolicy", "AmazonEKS_CNI_Policy"])
    }

    func call(_ target: any AWSService, _ action: String, _ parameters: [String: String]) async throws -> String {
        let form = (["Action=\(action)"] + parameters.map { PercentEncoding.encode($0.key) + "=" + PercentEncoding.encode($0.value) }).joined(
            separator: "&")
        let request = AWSRequest(
            head: .init(method: "POST", target: "/", fields: [:], authority: "x", connection: .init(remoteAddress: "", localAddress: "")),
            service: "x",
            region: "eu-central-1", requestID: "r", caller: caller, query: [], body: Array(form.utf8))
        return String(decoding: try await target.handle(request).body, as: UTF8.self)
    }

    /// Calls KMS.
    func kms(_ action: String, _ input: AWSJSON) async throws -> AWSJSON {
        let request = AWSRequest(
            head: .init(
                method: "POST", target: "/", fields: ["X-Amz-Target": "TrentService.\(action)"], authority: "x",
                connection: .init(remoteAddress: "", localAddress: "")),
            service: "kms", region: "eu-central-1", requestID: "r", caller: caller, query: [], body: input.encoded)
        let body = try await KMSService(keys: keys, identities: identities).handle(request).body
        return body.isEmpty ? [:] : try AWSJSON(parsing: body)
    }

    /// A new key's ARN.
    func createKey() async throws -> String {
        try #require(try await kms("CreateKey", [:])["KeyMetadata"]?["Arn"]?.stringValue)
    }

    func role(_ name: String, service: String, policies: [String]) async throws {
        let trust = #"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"\#(service)"},"Action":"sts:AssumeRole"}]}"#
        _ = try await call(iam, "CreateRole", ["RoleName": name, "AssumeRolePolicyDocument": trust])
        for policy in policies { _ = try await call(iam, "AttachRolePolicy", ["RoleName": name, "PolicyArn": "arn:aws:iam::aws:policy/\(policy)"]) }
    }

    /// A VPC with a subnet in each of the first zones.
    func subnets(_ blocks: [String] = ["10.0.0.0/24", "10.0.1.0/24"], zones: [String] = ["eu-central-1a", "eu-central-1b"]) async throws -> [String] {
        let vpc = try #require(text("vpcId", try await call(ec2, "CreateVpc", ["CidrBlock": "10.0.0.0/16"])))
        var ids: [String] = []
        for (block, zone) in zip(blocks, zones) {
            let answer = try await call(ec2, "CreateSubnet", ["VpcId": vpc, "CidrBlock": block, "AvailabilityZone": zone])
            ids.append(try #require(text("subnetId", answer)))
        }
        return ids
    }

    func text(_ name: String, _ xml: String) -> String? {
        guard let start = xml.firstRange(of: "<\(name)>"), let end = xml[start.upperBound...].firstRange(of: "</\(name)>") else { return nil }
        return String(xml[start.upperBound..<end.lowerBound])
    }

    func createCluster(_ subnets: [String], name: String = "demo", _ change: (inout CreateClusterInput) -> Void = { _ in }) async throws
        -> ClusterRecord
    {
        var input = CreateClusterInput(name: name, roleARN: World.clusterRole, subnetIDs: subnets)
        change(&input)
        return try await service.createCluster(input, caller: caller)
    }

    func createNodegroup(_ subnets: [String], _ change: (inout CreateNodegroupInput) -> Void = { _ in }) async throws -> NodegroupRecord {
        var input = CreateNodegroupInput(clusterName: "demo", name: "ng", subnetIDs: subnets, nodeRoleARN: World.nodeRole)
        input.scaling = ScalingConfig(minSize: 1, maxSize: 4, desiredSize: 2)
        change(&input)
        return try await service.createNodegroup(input, caller: caller)
    }

    /// Runs the reconcilers while `body` runs.
    func running<Result: Sendable>(_ body: @Sendable () async throws -> Result) async throws -> Result {
        let run = Task { await service.run() }
        do {
            let result = try await body()
            run.cancel()
            await run.value
            return result
        } catch {
            run.cancel()
            await run.value
            throw error
        }
    }

    func cluster(_ status: ClusterStatus, _ name: String = "demo") async throws {
        try await until("cluster \(name) \(status)") { try await service.describeCluster(name).status == status }
    }
    func nodegroup(_ status: NodegroupStatus) async throws {
        try await until("nodegroup \(status)") { try await service.describeNodegroup("demo", "ng").status == status }
    }
    func gone(_ check: @escaping @Sendable () async throws -> Void) async throws {
        try await until("gone") {
            do {
                try await check()
                return false
            } catch let error as AWSError where error.code == "ResourceNotFoundException" { return true }
        }
    }
}

struct TimedOut: Error { var what: String }

/// Waits for a condition; fails after a minute.
func until(_ what: String, _ condition: () async throws -> Bool) async throws {
    let deadline = ContinuousClock.now + .seconds(60)
    while try await !condition() {
        guard ContinuousClock.now < deadline else { throw TimedOut(what: what) }
        try await Task.sleep(for: .milliseconds(2))
    }
}

/// The code and message of the error `body` ends with.
func refusal(_ body: () async throws -> Void) async -> AWSError? {
    do {
        try await body()
        return nil
    } catch { return error as? AWSError }
}
