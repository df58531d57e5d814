import AWSProtocol
import ArgumentParser
import ControlPlane
import Dispatch
import Glibc
import KubeScheduler
import Logging
import Processes

/// `eyrie serve`: the service in the foreground.
struct ServeCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "serve", abstract: "Runs the service: the AWS endpoint and the control planes of all clusters.")
    static let defaultListen = "127.0.0.1:7443"

    @OptionGroup var data: DataDirectoryOption
    @Option(help: "HOST:PORT of the AWS endpoint; where it listened last, or \(Self.defaultListen), if left out. Port 0 takes a free one.")
    var listen: String?
    @Option(help: "The AWS region the service stands for.") var region = "us-west-2"
    @Option(
        name: .customLong("registry-mirror"),
        help: "REGISTRY=URL of a mirror for the nodes, such as docker.io=http://127.0.0.1:5000. May be repeated; kept for the next start.")
    var mirrors: [String] = []
    @Option(
        name: .customLong("identity-provider-ca"),
        help: "A file of CA certificates in PEM by which OIDC identity providers of clusters are believed, beside those the system trusts.")
    var identityProviderCA: String?
    @Option(
        name: .customLong("authentication-token-webhook-config-file"),
        help: "A file in the form of a kubeconfig: the service that clusters ask by TokenReviews whose a token is that nobody else knows.")
    var tokenWebhook: String?
    @Option(
        name: .customLong("authorization-webhook-config-file"),
        help:
            "A file in the form of a kubeconfig: the service that clusters ask by SubjectAccessReviews when RBAC and the others do not allow something."
    )
    var authorizationWebhook: String?
    @Option(
        name: .customLong("scheduler-config"),
        help:
            "A KubeSchedulerConfiguration (kubescheduler.config.k8s.io/v1), YAML or JSON: profiles, plugins and extenders of all clusters' schedulers."
    )
    var schedulerConfig: String?
    @Option(
        name: .customLong("cluster-signing-duration"),
        help: "How long certificates of nodes and of signing requests last, in seconds; nodes renew theirs in time.")
    var signingDuration = ControlPlaneConfiguration.defaultSigningDuration
    @Option(name: .customLong("log-level"), help: "trace, debug, info, notice, warning, error or critical.") var logLevel = "info"

    func validate() throws {
        if let listen { _ = try Self.address(listen) }
        guard Logger.Level(rawValue: logLevel) != nil else {
            throw ValidationError("--log-level takes \(Logger.Level.allCases.map(\.rawValue).joined(separator: ", ")), not \"\(logLevel)\"")
        }
        _ = try Self.parse(mirrors)
        guard Self.signingDurations.contains(signingDuration) else {
            throw ValidationError(
                "--cluster-signing-duration takes \(Self.signingDurations.lowerBound) to \(Self.signingDurations.upperBound) seconds")
        }
        // A region stands in host names, ARNs and labels.
        let isSound = region.utf8.allSatisfy { (0x61...0x7A).contains($0) || (0x30...0x39).contains($0) || $0 == 0x2D }
        guard isSound, (1...63).contains(region.utf8.count), !region.hasPrefix("-"), !region.hasSuffix("-") else {
            throw ValidationError("--region takes a name such as us-west-2, not \"\(region)\"")
        }
    }

    func run() async throws {
        let level = Logger.Level(rawValue: logLevel) ?? .info
        LoggingSystem.bootstrap { label in
            var handler = LineLog(label)
            handler.logLevel = level
            return handler
        }
        guard geteuid() == 0 else {
            throw CLIError(
                what: "The service must be run as root.", why: "Clusters and nodes are made of network interfaces, namespaces and control groups.",
                fix: "sudo \(Executable.path) serve --data-dir \(data.directory.path)")
        }
        let saved = data.directory.settings()
        let (host, port) = try Self.address(listen ?? saved.listen ?? Self.defaultListen)
        let service = Service(
            configuration: .init(
                directory: data.directory, host: host, port: port, region: region, mirrors: saved.mirrors.merging(try Self.parse(mirrors)) { $1 },
                identityProviderAuthorityPEM: try identityProviderCA.map(Self.authorities), webhooks: try webhooks(), scheduler: try scheduler(),
                signingDuration: signingDuration))
        do { try await service.run(until: Signals.terminate) } catch let failure as ServiceUnavailable {
            throw CLIError(
                what: "The service cannot write to its data directory \(data.directory.path).", why: failure.reason,
                fix: "free some space, or give another directory: --data-dir DIRECTORY")
        }
    }

    /// Shorter ones would end before nodes could renew them; the authority itself lasts ten years.
    private static let signingDurations: ClosedRange<Int64> = 30...(10 * 365 * 86_400)

    private func webhooks() throws -> AccessWebhooks {
        func text(_ file: String) throws -> String {
            guard let text = SmallFile.readText(file) else {
                throw CLIError(what: "\(file) cannot be read.", why: nil, fix: "give a file in the form of a kubeconfig")
            }
            return text
        }
        let token = try tokenWebhook.map(text)
        let authorization = try authorizationWebhook.map(text)
        do {
            return try AccessWebhooks(tokenFile: token, authorizationFile: authorization, read: { SmallFile.readText($0) })
        } catch let error as AccessWebhookError {
            throw CLIError(
                what: "A webhook's configuration file names no service: \(error).", why: nil,
                fix: "give a file in the form of a kubeconfig, whose current context has a cluster with a server and its certificate-authority")
        }
    }

    private func scheduler() throws -> SchedulerConfiguration {
        guard let file = schedulerConfig else { return .standard }
        guard let text = SmallFile.readText(file) else {
            throw CLIError(what: "\(file) cannot be read.", why: nil, fix: "give a file with a KubeSchedulerConfiguration: --scheduler-config FILE")
        }
        do { return try SchedulerConfiguration(text: text, read: { SmallFile.readText($0) }) } catch {
            throw CLIError(
                what: "The scheduler's configuration in \(file) is not valid.", why: "\(error)", fix: "correct the fields named and start again")
        }
    }

    /// The certificates of the system's bundles, of Debian and of Red Hat.
    private static let systemBundles = ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt"]

    private static func authorities(_ file: String) throws -> String {
        guard let own = SmallFile.readText(file), own.contains("-----BEGIN CERTIFICATE-----") else {
            throw CLIError(
                what: "\(file) holds no CA certificates.", why: nil, fix: "give a file with certificates in PEM: --identity-provider-ca FILE")
        }
        return ([own] + systemBundles.compactMap { SmallFile.readText($0) }.prefix(1)).joined(separator: "\n")
    }

    private static func address(_ text: String) throws -> (host: String, port: Int) {
        guard let colon = text.lastIndex(of: ":"), let port = Int(text[text.index(after: colon)...]), (0...65535).contains(port),
            colon != text.startIndex
        else {
            throw ValidationError("--listen takes HOST:PORT, not \"\(text)\"")
        }
        return (String(text[..<colon]), port)
    }

    /// Mirrors as `--registry-mirror` takes them, `REGISTRY=URL`. Throws `ValidationError`.
    static func parse(_ mirrors: [String]) throws -> [String: String] {
        var parsed: [String: String] = [:]
        for mirror in mirrors {
            guard let equals = mirror.firstIndex(of: "="), equals != mirror.startIndex else {
                throw ValidationError("--registry-mirror takes REGISTRY=URL, not \"\(mirror)\"")
            }
            let url = String(mirror[mirror.index(after: equals)...])
            guard RegistryRelay.parse(url) != nil else {
                throw ValidationError("--registry-mirror takes a URL of the form http://HOST:PORT, not \"\(url)\"")
            }
            parsed[String(mirror[..<equals])] = url
        }
        return parsed
    }
}

/// The signals that end the service, or a machine.
enum Signals {
    /// Returns at SIGTERM or SIGINT.
    @Sendable static func terminate() async { await wait(for: [SIGTERM, SIGINT]) }

    /// Returns at the first of the signals, or when the task is cancelled.
    static func wait(for numbers: [Int32]) async {
        let (stream, continuation) = AsyncStream.makeStream(of: Void.self)
        let sources = numbers.map { number in
            signal(number, SIG_IGN)
            let source = DispatchSource.makeSignalSource(signal: number, queue: .global())
            source.setEventHandler { continuation.yield() }
            source.activate()
            return source
        }
        for await _ in stream { break }
        for source in sources { source.cancel() }
    }
}
