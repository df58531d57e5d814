import Glibc
import KubeAPI
import NodeIdentity
import Processes

/// What the environment says where the command line does not, in the variables of AWS's tools.
struct JoinEnvironment {
    private func value(_ name: String) -> String? { getenv(name).map { String(cString: $0) }.flatMap { $0.isEmpty ? nil : $0 } }

    var keys: AWSKeys? { AWSKeys(environment: value) }
    var region: String { value("AWS_REGION") ?? value("AWS_DEFAULT_REGION") ?? "us-west-2" }

    /// Throws `JoinProblem` where none is named.
    func endpoint() throws -> String {
        guard let endpoint = value("AWS_ENDPOINT_URL") else {
            throw JoinProblem("It is not clear which service the cluster is of.", fix: "--endpoint https://HOST:PORT")
        }
        return endpoint
    }

    /// The certificates of `file`, or of the file that the environment names; nil: the system's. Throws `JoinProblem` for a file that holds none.
    func roots(_ file: String?) throws -> String? {
        guard let path = file ?? value("AWS_CA_BUNDLE") else { return nil }
        guard let text = SmallFile.readText(path), text.contains("-----BEGIN CERTIFICATE-----") else {
            throw JoinProblem("\(path) holds no certificates.", fix: "--ca FILE, with the file ca.pem of the service's data directory")
        }
        return text
    }
}

/// Names and addresses of this host.
enum HostAddress {
    /// In lower case, as nodes are called.
    static var hostName: String {
        var buffer = [CChar](repeating: 0, count: 256)
        guard gethostname(&buffer, buffer.count - 1) == 0 else { return "" }
        return String(decoding: buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self).lowercased()
    }

    /// The address that this host reaches another from. Throws `JoinProblem` when there is no route.
    static func source(towards host: String) async throws -> String {
        do {
            let answer = try await Command.run(["ip", "-json", "route", "get", host])
            for route in try JSONDocument(Array(answer.utf8)).root.elements { if let address = route["prefsrc"].string { return address } }
            throw JoinProblem("This host's address towards \(host) is not known.", fix: "--node-ip ADDRESS")
        } catch let error as CommandError {
            throw JoinProblem("There is no route to \(host).", why: error.output, fix: "add one, or name this host's address: --node-ip ADDRESS")
        }
    }
}
