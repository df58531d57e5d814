import Glibc
import KubeAPI
import NodeIdentity
import Processes

/// The service's one directory. Secrets in it are files of mode 0600, the directory itself 0700.
struct DataDirectory: Sendable {
    let path: String

    init(_ path: String) {
        // Machines are told absolute paths: theirs is another current directory.
        if path.hasPrefix("/") {
            self.path = path
        } else {
            var buffer = [CChar](repeating: 0, count: Int(PATH_MAX))
            let current = getcwd(&buffer, buffer.count).map { String(cString: $0) } ?? "/"
            self.path = "\(current)/\(path)"
        }
    }

    var records: String { "\(path)/records.db" }
    var logs: String { "\(path)/logs.db" }
    var clusters: String { "\(path)/clusters" }
    var machines: String { "\(path)/machines" }
    var networks: String { "\(path)/networks" }
    var certificateAuthority: String { "\(path)/ca.pem" }
    var certificateAuthorityKey: String { "\(path)/ca.key" }
    var serviceFile: String { "\(path)/service.json" }
    var settingsFile: String { "\(path)/settings.json" }
    /// What the secrets of KMS's keys are sealed with.
    var keyServiceKey: String { "\(path)/kms.key" }
    var credentialsFile: String { "\(path)/credentials.json" }
    var log: String { "\(path)/serve.log" }
    func kubeconfig(_ cluster: String) -> String { "\(path)/kubeconfig/\(cluster)" }

    /// What a running or stopped service says of itself, for the other commands.
    struct ServiceFile {
        var endpoint: String
        var region: String
        var process: ProcessIdentity

        var value: Value {
            [
                "endpoint": .string(endpoint), "region": .string(region), "pid": .int(Int64(process.pid)), "startTime": .int(process.startTime),
            ]
        }
    }

    /// How the service was started last: it is started so again where nothing else is said.
    struct Settings {
        /// `HOST:PORT` of the AWS endpoint.
        var listen: String?
        /// Registry host to mirror URL.
        var mirrors: [String: String]

        var value: Value {
            var value: Value = ["registryMirrors": Value(mirrors)]
            if let listen { value["listen"] = .string(listen) }
            return value
        }
    }

    func settings() -> Settings {
        guard let bytes = SmallFile.read(settingsFile), let root = try? JSONDocument(bytes).root else {  // None yet, or torn: the defaults.
            return Settings(listen: nil, mirrors: [:])
        }
        return Settings(listen: root["listen"].string, mirrors: root["registryMirrors"].stringMap)
    }

    struct Credentials: Equatable {
        var accessKeyID: String
        var secretAccessKey: String

        var keys: AWSKeys { AWSKeys(accessKeyID: accessKeyID, secretAccessKey: secretAccessKey) }
    }

    func service() -> ServiceFile? {
        guard let bytes = SmallFile.read(serviceFile), let root = try? JSONDocument(bytes).root,  // A torn file is no service.
            let endpoint = root["endpoint"].string, let region = root["region"].string, let pid = root["pid"].int, let start = root["startTime"].int
        else { return nil }
        return ServiceFile(endpoint: endpoint, region: region, process: ProcessIdentity(pid: Int32(truncatingIfNeeded: pid), startTime: start))
    }

    func credentials() -> Credentials? {
        guard let bytes = SmallFile.read(credentialsFile), let root = try? JSONDocument(bytes).root,
            let id = root["accessKeyID"].string, let secret = root["secretAccessKey"].string
        else { return nil }
        return Credentials(accessKeyID: id, secretAccessKey: secret)
    }

    func write(_ credentials: Credentials) throws {
        let value: Value = ["accessKeyID": .string(credentials.accessKeyID), "secretAccessKey": .string(credentials.secretAccessKey)]
        try SmallFile.write(credentialsFile, value.jsonBytes)
    }
}

/// An error for the person at the terminal: what, why, and what to do.
struct CLIError: Error, CustomStringConvertible {
    var what: String
    var why: String?
    var fix: String?

    var description: String {
        var text = what
        if let why { text += "\n  Why   \(why)" }
        if let fix { text += "\n  Fix   \(fix)" }
        return text
    }

    init(what: String, why: String?, fix: String?) {
        self.what = what
        self.why = why
        self.fix = fix
    }

    init(_ problem: JoinProblem) { self.init(what: problem.what, why: problem.why, fix: problem.fix) }

    static func notServed(_ directory: DataDirectory) -> CLIError {
        CLIError(
            what: "No Eyrie service has run with the data directory \(directory.path).",
            why: "It holds no credentials yet: the service makes them when it first starts.",
            fix: "eyrie up     or     eyrie serve --data-dir \(directory.path)")
    }
}
