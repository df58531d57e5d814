/// Why a node cannot join its cluster, for the person at the terminal: what, why, and what to do.
package struct JoinProblem: Error, Sendable, Equatable, CustomStringConvertible {
    package var what: String
    package var why: String?
    package var fix: String?

    package init(_ what: String, why: String? = nil, fix: String? = nil) {
        self.what = what
        self.why = why
        self.fix = fix
    }

    package var description: String { [what, why].compactMap { $0 }.joined(separator: " ") }

    // MARK: The service's answers

    /// AWS's codes for signatures that are not believed; of those the text tells whether it is the clock.
    private static let signatureCodes: Set<String> = ["InvalidSignatureException", "SignatureDoesNotMatch", "RequestExpired"]
    private static let credentialCodes: Set<String> = [
        "UnrecognizedClientException", "InvalidClientTokenId", "ExpiredTokenException", "ExpiredToken", "AuthFailure",
    ]

    private static func ofCredentials(_ code: String, _ message: String) -> JoinProblem? {
        if signatureCodes.contains(code), message.contains("expired") || message.contains("not yet current") {
            return JoinProblem(
                "This host's clock is not the service's.", why: message, fix: "set the clock: timedatectl set-ntp true     (now: date -u)")
        }
        if signatureCodes.contains(code) || credentialCodes.contains(code) {
            return JoinProblem(
                "The service does not know these AWS credentials.", why: "\(code): \(message)",
                fix: "export AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and, of temporary ones, AWS_SESSION_TOKEN")
        }
        return nil
    }

    /// An AWS error as the answer to AssumeRole.
    package static func assumeRole(_ role: String, code: String, message: String) -> JoinProblem {
        ofCredentials(code, message)
            ?? JoinProblem(
                "The role \(role) cannot be assumed.", why: "\(code): \(message)",
                fix: "let the role's trust policy name these credentials, and allow them sts:AssumeRole: aws iam update-assume-role-policy")
    }

    /// An AWS error as the answer to DescribeCluster.
    package static func describe(_ cluster: String, code: String, message: String) -> JoinProblem {
        if let problem = ofCredentials(code, message) { return problem }
        switch code {
        case "AccessDeniedException", "AccessDenied":
            return JoinProblem(
                "Cluster \"\(cluster)\" may not be described.", why: message,
                fix: "give the node's role eks:DescribeCluster, as the policy AmazonEKSWorkerNodePolicy does: aws iam attach-role-policy")
        case "ResourceNotFoundException":
            return JoinProblem("There is no cluster \"\(cluster)\".", why: message, fix: "aws eks list-clusters")
        default: return JoinProblem("Cluster \"\(cluster)\" could not be described.", why: "\(code): \(message)")
        }
    }

    // MARK: The API server's answers

    /// A Status of the API server, as the answer to who the bearer of a token is. `principal` is the AWS identity.
    package static func apiServer(_ cluster: String, code: Int, message: String, principal: String) -> JoinProblem {
        switch code {
        case 401:
            JoinProblem(
                "Cluster \"\(cluster)\" does not let this node in.",
                why: "\(principal) is mapped by no access entry and not by the ConfigMap aws-auth (401 \(message)).",
                fix: "aws eks create-access-entry --cluster-name \(cluster) --principal-arn ROLE --type HYBRID_LINUX")
        case 403:
            JoinProblem(
                "Cluster \"\(cluster)\" does not allow this node to join.", why: "403 \(message)",
                fix: "map the node's role by an access entry of type HYBRID_LINUX, or in aws-auth with the group system:nodes")
        default: JoinProblem("The API server of cluster \"\(cluster)\" refused.", why: "\(code) \(message)")
        }
    }

    /// An API server that cannot be reached.
    package static func unreachable(_ address: String, why: String) -> JoinProblem {
        let isLoopback = address.hasPrefix("127.") || address.hasPrefix("localhost")
        return JoinProblem(
            "The API server at \(address) cannot be reached.", why: why,
            fix: isLoopback
                ? "start the service where other hosts reach it: eyrie serve --listen ADDRESS:PORT"
                : "check the route from this host to it, the cluster's publicAccessCidrs, and firewalls between")
    }
}
