import HTTPTransport
import KubeAPI

/// Acting as another user by `Impersonate-*` headers. Upstream: endpoints/filters/impersonation.WithConstrainedImpersonation.
enum Impersonation {
    private static let extraPrefix = "impersonate-extra-"

    /// Whom a request is to be made as.
    struct Outcome {
        var user: UserInfo
        /// The verb that allowed it in a constrained mode: `impersonate:user-info`, …; empty for `impersonate`, which allows whatever the user may do.
        var constraint = ""
    }

    /// The user the request is to be made as; nil when no header asks for another. Throws 400 for headers without a user, 403 when the requestor may
    /// not act as this user in any mode: the refusal is then the first mode's that could have applied.
    static func user(for head: HTTPRequestHead, info: RequestInfo, requestor: UserInfo, _ components: APIServer.Components) async throws -> Outcome? {
        // Most requests have none of the headers: one look finds out.
        guard isAsked(head), let wanted = try wanted(head) else { return nil }
        var refusal: (any Error)?
        for mode in ImpersonationMode.allCases where mode.applies(to: wanted, requestor: requestor) {
            do {
                let check = ImpersonationCheck(mode: mode, requestor: requestor, components: components)
                return Outcome(user: try await check.user(wanted, for: info.attributes(requestor)), constraint: mode.isConstrained ? mode.verb : "")
            } catch let error as StatusError {
                if refusal == nil { refusal = error }
            }
        }
        throw refusal ?? StatusError.internalError("all impersonation modes failed")
    }

    /// The user as the headers have him, nothing added. Upstream: processImpersonationHeaders.
    private static func wanted(_ head: HTTPRequestHead) throws -> UserInfo? {
        var wanted = UserInfo(
            name: head.fields["Impersonate-User"] ?? "", uid: head.fields["Impersonate-Uid"] ?? "", groups: head.fields.all("Impersonate-Group"))
        for (field, value) in head.fields.fields where field.utf8.count > extraPrefix.utf8.count {
            let lower = field.lowercased()
            guard lower.hasPrefix(extraPrefix) else { continue }
            let raw = String(lower.dropFirst(extraPrefix.count))
            wanted.extra[PercentEncoding.decode(raw) ?? raw, default: []].append(value)
        }
        wanted.isImpersonated = true
        guard wanted.name.isEmpty else { return wanted }
        guard wanted.groups.isEmpty, wanted.uid.isEmpty, wanted.extra.isEmpty else {
            throw StatusError.badRequest("requested \(goSyntax(wanted)) without impersonating a user name")
        }
        return nil
    }

    /// The user as Go's `%#v` writes it.
    private static func goSyntax(_ user: UserInfo) -> String {
        func list(_ values: [String]) -> String { "{" + values.map(\.goQuoted).joined(separator: ", ") + "}" }
        let groups = user.groups.isEmpty ? "[]string(nil)" : "[]string" + list(user.groups)
        let extra =
            user.extra.isEmpty
            ? "map[string][]string(nil)"
            : "map[string][]string{"
                + user.extra.sorted { $0.key < $1.key }.map { "\($0.key.goQuoted):[]string" + list($0.value) }.joined(separator: ", ") + "}"
        return "&user.DefaultInfo{Name:\(user.name.goQuoted), UID:\(user.uid.goQuoted), Groups:\(groups), Extra:\(extra)}"
    }

    /// Whether any header asks to act as another.
    static func isAsked(_ head: HTTPRequestHead) -> Bool { head.fields.fields.contains { isImpersonation($0.name) } }

    private static func isImpersonation(_ field: String) -> Bool {
        field.utf8.count > 12 && field.prefix(12).lowercased() == "impersonate-"
    }

    /// Namespace and name of `system:serviceaccount:NAMESPACE:NAME`. Upstream: serviceaccount.SplitUsername.
    static func serviceAccount(_ user: String) -> (namespace: String, name: String)? {
        let prefix = "system:serviceaccount:"
        guard user.hasPrefix(prefix) else { return nil }
        let parts = user.dropFirst(prefix.count).split(separator: ":", omittingEmptySubsequences: false)
        guard parts.count == 2, !parts[0].isEmpty, !parts[1].isEmpty else { return nil }
        return (String(parts[0]), String(parts[1]))
    }

    /// The node of `system:node:NAME`. Upstream: impersonation.isNodeUsername.
    static func node(_ user: String) -> String? {
        let prefix = "system:node:"
        guard user.hasPrefix(prefix) else { return nil }
        let name = String(user.dropFirst(prefix.count))
        return Names.problems(name, .dnsSubdomain).isEmpty ? name : nil
    }
}
