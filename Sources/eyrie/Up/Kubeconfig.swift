import Glibc
import KubeAPI
import Processes

/// The kubeconfig of a cluster whose user is this service's administrator, by `eyrie token`.
struct Kubeconfig {
    var cluster: JSONView
    var directory: DataDirectory

    private var name: String { cluster["name"].string ?? "" }

    /// Writes a kubeconfig of its own (kubeconfigs may be JSON), then merges it into kubectl's with kubectl itself.
    func merge(switchContext: Bool, _ progress: Progress) async throws {
        let path = directory.kubeconfig(name)
        try SmallFile.makeDirectory("\(directory.path)/kubeconfig")
        try SmallFile.write(path, document.jsonBytes)
        guard let kubectl = Self.find("kubectl") else {
            progress.note("kubectl is not on PATH: use KUBECONFIG=\(path)")
            return
        }
        let endpoint = cluster["endpoint"].string ?? ""
        let authority = "\(path).ca.pem"
        try SmallFile.write(authority, Base64.decode(cluster["certificateAuthority"]["data"].string ?? ""))
        try await Command.run([
            kubectl, "config", "set-cluster", name, "--server=\(endpoint)", "--certificate-authority=\(authority)", "--embed-certs=true",
        ])
        try await Command.run([
            kubectl, "config", "set-credentials", name, "--exec-api-version=client.authentication.k8s.io/v1beta1",
            "--exec-command=\(Executable.path)",
            "--exec-arg=token", "--exec-arg=--data-dir", "--exec-arg=\(directory.path)", "--exec-arg=--cluster", "--exec-arg=\(name)",
        ])
        try await Command.run([kubectl, "config", "set-context", name, "--cluster=\(name)", "--user=\(name)"])
        if switchContext { try await Command.run([kubectl, "config", "use-context", name]) }
        progress.done("kubeconfig merged", detail: "context \"\(name)\"")
    }

    private var document: Value {
        [
            "apiVersion": "v1", "kind": "Config", "current-context": .string(name),
            "clusters": [
                [
                    "name": .string(name),
                    "cluster": [
                        "server": .string(cluster["endpoint"].string ?? ""),
                        "certificate-authority-data": .string(cluster["certificateAuthority"]["data"].string ?? ""),
                    ],
                ]
            ],
            "users": [["name": .string(name), "user": ["exec": exec]]],
            "contexts": [["name": .string(name), "context": ["cluster": .string(name), "user": .string(name)]]],
        ]
    }

    private var exec: Value {
        [
            "apiVersion": "client.authentication.k8s.io/v1beta1", "command": .string(Executable.path), "interactiveMode": "Never",
            "args": ["token", "--data-dir", .string(directory.path), "--cluster", .string(name)],
        ]
    }

    private static func find(_ program: String) -> String? {
        let path = getenv("PATH").map { String(cString: $0) } ?? ""
        return path.split(separator: ":").map { "\($0)/\(program)" }.first { access($0, X_OK) == 0 }
    }
}

/// Standard Base64, decoding only; other characters are passed over.
enum Base64 {
    static func decode(_ text: String) -> [UInt8] {
        var out: [UInt8] = []
        var bits: UInt32 = 0
        var count = 0
        for character in text.utf8 {
            let digit: UInt32
            switch character {
            case UInt8(ascii: "A")...UInt8(ascii: "Z"): digit = UInt32(character - UInt8(ascii: "A"))
            case UInt8(ascii: "a")...UInt8(ascii: "z"): digit = UInt32(character - UInt8(ascii: "a")) + 26
            case UInt8(ascii: "0")...UInt8(ascii: "9"): digit = UInt32(character - UInt8(ascii: "0")) + 52
            case UInt8(ascii: "+"): digit = 62
            case UInt8(ascii: "/"): digit = 63
            default: continue
            }
            bits = (bits << 6 | digit) & 0xFFFF
            count += 6
            if count >= 8 {
                count -= 8
                out.append(UInt8(truncatingIfNeeded: bits >> UInt32(count)))
            }
        }
        return out
    }
}
