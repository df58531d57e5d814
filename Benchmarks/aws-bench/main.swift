import AWSProtocol
import AWSServices
import Dispatch
import Glibc
import HTTPTransport
import Logging

// aws-bench COUNT      calls a second on one core: signatures, tokens, policies, log events
//
// `valgrind --tool=callgrind aws-bench COUNT FIGURE` shows where one figure's time goes.

/// The account under measurement, over memory.
struct Bench: Sendable {
    let identities: IdentityStore
    let endpoint: AWSEndpoint
    let tokens: EKSTokenVerifier
    let signer: RequestSigner
    let caller: AWSCaller
    let host = "127.0.0.1:7443"

    init() async throws {
        identities = try await IdentityStore(storage: MemoryRowStorage())
        let keys = try await identities.administratorCredentials()
        guard let credential = await identities.credential(accessKeyID: keys.accessKeyID) else {
            throw BenchError(what: "the administrator has no key")
        }
        caller = credential.caller
        signer = RequestSigner(accessKeyID: keys.accessKeyID, secretAccessKey: keys.secretAccessKey, region: "us-west-2", service: "sts")
        tokens = EKSTokenVerifier(configuration: .init(endpointURLs: ["https://\(host)"]), source: identities)
        endpoint = AWSEndpoint(
            services: [STSService(identities: identities)], regions: ["us-west-2"], verifier: SignatureVerifier(source: identities),
            logger: Logger(label: "bench", factory: { _ in SwiftLogNoOpLogHandler() }))
    }

    /// A token of `aws eks get-token`; `number` makes it another one.
    func token(_ number: Int) -> String {
        let target = signer.presign(
            target: "/?Action=GetCallerIdentity&Version=2011-06-15", host: host, headers: [(name: "x-k8s-aws-id", value: "demo")],
            expires: 60 + number % 800, time: AWSClock.system.now - Double(number / 800))
        return "k8s-aws-v1." + Base64URL.encode(Array(("https://" + host + target).utf8))
    }

    /// A signed request, as boto3 sends it.
    func request() -> (head: HTTPRequestHead, body: [UInt8]) {
        let body = Array("Action=GetCallerIdentity&Version=2011-06-15".utf8)
        var fields: HTTPFields = [
            "Content-Type": "application/x-www-form-urlencoded; charset=utf-8",
            "User-Agent": "Boto3/1.43.11 md/Botocore#1.43.11 ua/2.1 os/linux#6.18",
            "Accept-Encoding": "identity",
        ]
        signer.sign(method: "POST", target: "/", host: host, fields: &fields, body: body, time: AWSClock.system.now)
        let connection = ConnectionInfo(remoteAddress: "127.0.0.1:40000", localAddress: "127.0.0.1:7443")
        return (HTTPRequestHead(method: "POST", target: "/", fields: fields, authority: host, connection: connection), body)
    }
}

/// What went wrong.
struct BenchError: Error, CustomStringConvertible {
    var what: String
    var description: String { what }
}

func measure(_ name: String, _ count: Int, _ only: String?, _ call: (Int) async throws -> Void) async throws {
    guard only == nil || only == name else { return }
    for number in 0..<min(count, 100) { try await call(number) }
    let start = ContinuousClock.now
    for number in 0..<count { try await call(number) }
    let seconds = (ContinuousClock.now - start) / .seconds(1)
    print("\(name) \(Int(Double(count) / seconds))/s")
}

func run(_ arguments: [String]) async throws {
    guard arguments.count >= 2, let count = Int(arguments[1]), count > 0 else { throw BenchError(what: "usage: aws-bench COUNT [FIGURE]") }
    let only = arguments.count > 2 ? arguments[2] : nil
    let bench = try await Bench()
    let (head, body) = bench.request()
    try await measure("request", count, only) { _ in
        nonisolated(unsafe) var isSent = false
        let stream = HTTPBodyStream {
            defer { isSent = true }
            return isSent ? nil : body
        }
        let response = await bench.endpoint.respond(to: head, body: stream)
        guard response.status == 200 else { throw BenchError(what: "status \(response.status)") }
    }
    let cold = only == nil || only == "token-cold" ? (0..<count).map { bench.token($0) } : []
    try await measure("token-cold", count, only) { _ = try await bench.tokens.verify(cold[$0], clusterName: "demo") }
    let cached = bench.token(1)
    try await measure("token-cached", count, only) { _ in _ = try await bench.tokens.verify(cached, clusterName: "demo") }
    try await measure("authorize", count, only) { _ in
        try await bench.identities.authorize(bench.caller, action: "eks:DescribeCluster", resource: "arn:aws:eks:us-west-2:000000000000:cluster/demo")
    }
    let path = "/tmp/aws-bench-\(getpid()).db"
    defer { for suffix in ["", "-wal", "-shm"] { unlink(path + suffix) } }
    let logs = try LogStore(path: path)
    let line = String(repeating: "x", count: 400)
    // A batch of a hundred is one transaction with one fsync.
    try await measure("log-batches", max(1, count / 100), only) { number in
        let now = Int64(AWSClock.system.now * 1_000)
        try await logs.put(group: "g", stream: "s\(number % 5)", events: (0..<100).map { _ in LogEvent(timestamp: now, message: line) })
    }
    await logs.close()
}

Task {
    do {
        try await run(CommandLine.arguments)
        exit(0)
    } catch {
        let line = Array("aws-bench: \(error)\n".utf8)
        _ = write(2, line, line.count)
        exit(1)
    }
}
dispatchMain()
