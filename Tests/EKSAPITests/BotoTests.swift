import AWSProtocol
import AWSServices
import Certificates
import ClusterLifecycle
import Dispatch
import Glibc
import HTTPTransport
import Logging
import Testing

@testable import EKSAPI

/// The whole AWS side over memory and simulated hosts.
struct Stack: Sendable {
    let identities: IdentityStore
    let service: EKSService
    let endpoint: AWSEndpoint
    let admin: AdministratorCredentials

    init() async throws {
        let storage = MemoryRowStorage()
        let quiet = Logger(label: "test", factory: { _ in SwiftLogNoOpLogHandler() })
        identities = try await IdentityStore(storage: storage)
        admin = try await identities.administratorCredentials()
        let network = try await EC2Network(storage: storage, account: identities.account, region: "eu-central-1")
        let configuration = EKSConfiguration(region: "eu-central-1", account: identities.account)
        let hosts = SimulatedHosts()
        service = try await EKSService(
            configuration: configuration, storage: storage, network: network, identities: identities,
            keys: KMSKeys(
                storage: storage, account: identities.account, region: "eu-central-1", seal: try EnvelopeKey(EnvelopeKey.newKey())),
            controlPlanes: hosts, machines: hosts, logger: quiet)
        let eks = EKSAPI(service: service, authorizer: identities, configuration: configuration, paginationKey: Array("test".utf8))
        let services: [any AWSService] = [
            eks, IAMService(identities: identities), STSService(identities: identities), EC2Service(network: network, authorizer: identities),
        ]
        endpoint = AWSEndpoint(services: services, regions: ["eu-central-1"], verifier: SignatureVerifier(source: identities), logger: quiet)
    }

    /// Sends a signed EKS request.
    func eks(_ method: String, _ target: String, _ body: AWSJSON? = nil) async -> (status: Int, body: AWSJSON, type: String?) {
        await eks(method, target, bytes: body?.encoded ?? [])
    }

    func eks(_ method: String, _ target: String, bytes: [UInt8]) async -> (status: Int, body: AWSJSON, type: String?) {
        let answer = await send(method, target, bytes, "eks", "application/json")
        return (answer.status, (try? AWSJSON(parsing: answer.bytes)) ?? .null, answer.type)
    }

    /// Sends a signed request.
    func send(
        _ method: String, _ target: String, _ bytes: [UInt8], _ service: String, _ content: String
    ) async -> (status: Int, bytes: [UInt8], type: String?) {
        let signer = RequestSigner(accessKeyID: admin.accessKeyID, secretAccessKey: admin.secretAccessKey, region: "eu-central-1", service: service)
        var fields: HTTPFields = ["Content-Type": content]
        signer.sign(method: method, target: target, host: "eyrie", fields: &fields, body: bytes, time: AWSClock.system.now)
        let head = HTTPRequestHead(
            method: method, target: target, fields: fields, authority: "eyrie", connection: ConnectionInfo(remoteAddress: "", localAddress: ""))
        nonisolated(unsafe) var isSent = false
        let stream = HTTPBodyStream {
            defer { isSent = true }
            return isSent || bytes.isEmpty ? nil : bytes
        }
        let response = await endpoint.respond(to: head, body: stream)
        guard case .bytes(let answer) = response.body else { return (response.status, [], nil) }
        return (response.status, answer, response.fields["x-amzn-ErrorType"])
    }
}

/// Runs a program and waits for it without holding a thread of the cooperative pool.
private func run(_ arguments: [String], environment: [String: String] = [:]) async -> (code: Int32, output: String) {
    await withCheckedContinuation { continuation in
        DispatchQueue.global().async { continuation.resume(returning: runBlocking(arguments, environment: environment)) }
    }
}

private func runBlocking(_ arguments: [String], environment: [String: String] = [:]) -> (code: Int32, output: String) {
    var pipes: [Int32] = [0, 0]
    guard pipe(&pipes) == 0 else { return (-1, "no pipe") }
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    posix_spawn_file_actions_adddup2(&actions, pipes[1], 1)
    posix_spawn_file_actions_adddup2(&actions, pipes[1], 2)
    posix_spawn_file_actions_addclose(&actions, pipes[0])
    let inherited: [String] = ["PATH", "HOME"].compactMap { (name: String) -> String? in
        getenv(name).map { value in "\(name)=" + String(cString: value) }
    }
    var argv: [UnsafeMutablePointer<CChar>?] = arguments.map { strdup($0) } + [nil]
    var envp: [UnsafeMutablePointer<CChar>?] = (inherited + environment.map { "\($0.key)=\($0.value)" }).map { strdup($0) } + [nil]
    defer { for pointer in argv + envp { free(pointer) } }
    var pid: pid_t = 0
    let failure = posix_spawnp(&pid, arguments[0], &actions, nil, &argv, &envp)
    close(pipes[1])
    defer { close(pipes[0]) }
    guard failure == 0 else { return (failure, "cannot run \(arguments[0])") }
    var output: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 4_096)
    while true {
        let count = read(pipes[0], &buffer, buffer.count)
        guard count > 0 else { break }
        output.append(contentsOf: buffer[0..<count])
    }
    var status: Int32 = 0
    waitpid(pid, &status, 0)
    return (status == 0 ? 0 : 1, String(decoding: output, as: UTF8.self))
}

private let hasBoto3: Bool = runBlocking(["python3", "-c", "import boto3"]).code == 0

@Suite struct BotoTests {
    @Test(
        "boto3 finds IAM, EC2, STS and EKS as AWS has them", .enabled(if: hasBoto3, "needs Python's boto3"),
        arguments: ["aws_services.py", "aws_access.py"])
    func boto3(_ file: String) async throws {
        let stack = try await Stack()
        let server = try await HTTPServer.start(.init(address: .tcp(host: "127.0.0.1", port: 0)), responder: stack.endpoint)
        let reconcilers = Task { await stack.service.run() }
        let script = #filePath.split(separator: "/").dropLast(2).joined(separator: "/")
        let result = await run(
            ["python3", "/\(script)/clients/\(file)"],
            environment: [
                "AWS_ENDPOINT_URL": "http://127.0.0.1:\(server.port)", "AWS_ACCESS_KEY_ID": stack.admin.accessKeyID,
                "AWS_SECRET_ACCESS_KEY": stack.admin.secretAccessKey, "AWS_DEFAULT_REGION": "eu-central-1", "AWS_EC2_METADATA_DISABLED": "true",
            ])
        #expect(result.code == 0 && result.output.contains("as AWS has it"), "\(result.output)")
        reconcilers.cancel()
        await reconcilers.value
        await server.stop(grace: .seconds(1))
    }

    @Test(
        "aws eks get-token makes a token that is the administrator's", .enabled(if: runBlocking(["aws", "--version"]).code == 0, "needs the AWS CLI"))
    func getToken() async throws {
        let stack = try await Stack()
        let url = "http://127.0.0.1:7499"
        let result = await run(
            ["aws", "eks", "get-token", "--cluster-name", "demo", "--output", "json"],
            environment: [
                "AWS_ENDPOINT_URL": url, "AWS_ACCESS_KEY_ID": stack.admin.accessKeyID, "AWS_SECRET_ACCESS_KEY": stack.admin.secretAccessKey,
                "AWS_DEFAULT_REGION": "eu-central-1", "AWS_EC2_METADATA_DISABLED": "true",
            ])
        let token = try #require(try AWSJSON(parsing: Array(result.output.utf8))["status"]?["token"]?.stringValue)
        let verifier = EKSTokenVerifier(configuration: .init(endpointURLs: [url]), source: stack.identities)
        let identity = try await verifier.verify(token, clusterName: "demo")
        #expect(identity.principalARN == "arn:aws:iam::000000000000:user/admin")
        await #expect(throws: EKSTokenError.self) { try await verifier.verify(token, clusterName: "other") }
    }
}
