/// What the person who joins a node says of it, read.
package enum JoinOptions {
    /// A taint that a node registers with.
    package struct Taint: Sendable, Equatable {
        package var key: String
        package var value: String
        package var effect: String
    }

    private static let effects: Set<String> = ["NoSchedule", "PreferNoSchedule", "NoExecute"]
    /// Labels of this domain are not a node's to set on itself. Upstream: NodeRestriction.
    private static let restrictedDomain = "node-restriction.kubernetes.io"
    /// As long as sessions' names and labels' values are at most.
    private static let longestName = 63

    /// `a=b,c=d`. Throws for anything else. Upstream: the kubelet's --node-labels.
    package static func labels(_ text: String) throws(JoinProblem) -> [String: String] {
        var labels: [String: String] = [:]
        for part in text.split(separator: ",") {
            let pair = part.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            guard pair.count == 2, isKey(pair[0]), isValue(pair[1]) else {
                throw JoinProblem("\"\(part)\" is no label.", fix: "--labels tier=web,zone=lab")
            }
            guard !pair[0].hasPrefix("\(restrictedDomain)/") else {
                throw JoinProblem(
                    "A node may not set the label \(pair[0]) on itself.", why: "Labels of \(restrictedDomain) are an administrator's.",
                    fix: "kubectl label node NAME \(part)")
            }
            labels[String(pair[0])] = String(pair[1])
        }
        return labels
    }

    /// `key=value:Effect` or `key:Effect`, separated by commas. Throws for anything else. Upstream: the kubelet's --register-with-taints.
    package static func taints(_ text: String) throws(JoinProblem) -> [Taint] {
        var taints: [Taint] = []
        for part in text.split(separator: ",") {
            let halves = part.split(separator: ":", omittingEmptySubsequences: false)
            let pair = (halves.first ?? "").split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            let value = pair.count == 2 ? pair[1] : ""
            guard halves.count == 2, let key = pair.first, isKey(key), isValue(value), effects.contains(String(halves[1])) else {
                throw JoinProblem(
                    "\"\(part)\" is no taint.", why: "Its effect is one of \(effects.sorted().joined(separator: ", ")).",
                    fix: "--taints dedicated=lab:NoSchedule")
            }
            taints.append(Taint(key: String(key), value: String(value), effect: String(halves[1])))
        }
        return taints
    }

    /// Throws for a name that is no node's and no session's: lower case letters, digits, `-` and `.`, at least two.
    package static func check(nodeName name: String) throws(JoinProblem) {
        let isSound = name.utf8.allSatisfy { isLowercase($0) || isDigit($0) || $0 == UInt8(ascii: "-") || $0 == UInt8(ascii: ".") }
        let parts = name.split(separator: ".", omittingEmptySubsequences: false)
        let isWhole = parts.allSatisfy { !$0.isEmpty && !$0.hasPrefix("-") && !$0.hasSuffix("-") }
        guard isSound, isWhole, (2...longestName).contains(name.utf8.count) else {
            throw JoinProblem(
                "\"\(name)\" cannot be a node's name.",
                why: "It takes 2 to \(longestName) lower case letters, digits, \"-\" and \".\", with a letter or digit at both ends.",
                fix: "--node-name NAME")
        }
    }

    /// The name of the node that a Kubernetes user is. Throws for a user that is none.
    package static func node(ofUser user: String, groups: [String], cluster: String) throws(JoinProblem) -> String {
        let prefix = "system:node:"
        guard user.hasPrefix(prefix), groups.contains("system:nodes") else {
            throw JoinProblem(
                "Cluster \"\(cluster)\" knows these credentials, but not as a node's.",
                why: "They are mapped to the user \(user) in \(groups.joined(separator: ", ")).",
                fix: "aws eks create-access-entry --cluster-name \(cluster) --principal-arn ROLE --type HYBRID_LINUX, and join with --role-arn ROLE")
        }
        let name = String(user.dropFirst(prefix.count))
        try check(nodeName: name)
        return name
    }

    /// The labels that a node without an instance has. Upstream: the kubelet's defaults, and nodeadm's of hybrid nodes.
    package static func standardLabels(nodeName: String, architecture: String) -> [String: String] {
        [
            "kubernetes.io/hostname": nodeName, "kubernetes.io/os": "linux", "kubernetes.io/arch": architecture, "beta.kubernetes.io/os": "linux",
            "beta.kubernetes.io/arch": architecture, "eks.amazonaws.com/compute-type": "hybrid",
        ]
    }

    /// Upstream: nodeadm's provider ids of hybrid nodes.
    package static func providerID(region: String, cluster: String, nodeName: String) -> String { "eks-hybrid:///\(region)/\(cluster)/\(nodeName)" }

    // MARK: Upstream: apimachinery's IsQualifiedName and IsValidLabelValue.

    private static func isKey(_ key: Substring) -> Bool {
        let parts = key.split(separator: "/", omittingEmptySubsequences: false)
        guard let name = parts.last, parts.count <= 2, !name.isEmpty, isValue(name) else { return false }
        guard parts.count == 2, let domain = parts.first else { return true }
        return !domain.isEmpty && domain.utf8.count <= 253
            && domain.utf8.allSatisfy { isLowercase($0) || isDigit($0) || $0 == UInt8(ascii: "-") || $0 == UInt8(ascii: ".") }
    }

    private static func isValue(_ value: Substring) -> Bool {
        guard let first = value.utf8.first, let last = value.utf8.last else { return true }
        let inner = Set("-_.".utf8)
        return value.utf8.count <= longestName && isAlphanumeric(first) && isAlphanumeric(last)
            && value.utf8.allSatisfy { isAlphanumeric($0) || inner.contains($0) }
    }

    private static func isLowercase(_ byte: UInt8) -> Bool { (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte) }
    private static func isDigit(_ byte: UInt8) -> Bool { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) }
    private static func isAlphanumeric(_ byte: UInt8) -> Bool { isLowercase(byte | 0x20) || isDigit(byte) }
}
