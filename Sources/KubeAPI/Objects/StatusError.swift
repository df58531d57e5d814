/// An API error as clients see it: a metav1.Status of status Failure. Messages are upstream's own words, because clients match on them.
/// Upstream: k8s.io/apimachinery/pkg/api/errors.
package struct StatusError: Error, Sendable, Equatable {
    package var code: Int
    /// A metav1.StatusReason: `NotFound`, `AlreadyExists`, `Conflict`, `Invalid`, …
    package var reason: String
    package var message: String
    package var details: Details?
    /// The token by which an expired list can be gone on with. Upstream: Status.ListMeta.Continue.
    package var continueToken = ""

    /// Upstream: metav1.StatusDetails.
    package struct Details: Sendable, Equatable {
        package var name: String
        package var group: String
        package var kind: String
        package var causes: [Cause]
        package var retryAfterSeconds: Int

        package init(name: String = "", group: String = "", kind: String = "", causes: [Cause] = [], retryAfterSeconds: Int = 0) {
            self.name = name
            self.group = group
            self.kind = kind
            self.causes = causes
            self.retryAfterSeconds = retryAfterSeconds
        }
    }

    /// Upstream: metav1.StatusCause.
    package struct Cause: Sendable, Equatable {
        package var reason: String
        package var message: String
        package var field: String

        package init(reason: String, message: String, field: String) {
            self.reason = reason
            self.message = message
            self.field = field
        }
    }

    package init(code: Int, reason: String, message: String, details: Details? = nil) {
        self.code = code
        self.reason = reason
        self.message = message
        self.details = details
    }

    package static func notFound(_ resource: GroupResource, _ name: String) -> StatusError {
        StatusError(
            code: 404, reason: "NotFound", message: "\(resource) \"\(name)\" not found",
            details: Details(name: name, group: resource.group, kind: resource.resource))
    }
    package static func alreadyExists(_ resource: GroupResource, _ name: String) -> StatusError {
        StatusError(
            code: 409, reason: "AlreadyExists", message: "\(resource) \"\(name)\" already exists",
            details: Details(name: name, group: resource.group, kind: resource.resource))
    }
    package static func conflict(_ resource: GroupResource, _ name: String, _ why: String) -> StatusError {
        StatusError(
            code: 409, reason: "Conflict", message: "Operation cannot be fulfilled on \(resource) \"\(name)\": \(why)",
            details: Details(name: name, group: resource.group, kind: resource.resource))
    }
    /// The conflict of a stale resourceVersion. Upstream: registry.OptimisticLockErrorMsg.
    package static func staleResourceVersion(_ resource: GroupResource, _ name: String) -> StatusError {
        conflict(resource, name, "the object has been modified; please apply your changes to the latest version and try again")
    }
    package static func forbidden(_ resource: GroupResource, _ name: String, _ why: String) -> StatusError {
        let object = name.isEmpty ? "\(resource)" : "\(resource) \"\(name)\""
        return StatusError(
            code: 403, reason: "Forbidden", message: "\(object) is forbidden: \(why)",
            details: Details(name: name, group: resource.group, kind: resource.resource))
    }
    /// The errors of validation, of one field each. Upstream: errors.NewInvalid with field.ErrorList.
    package static func invalid(_ kind: GroupVersionKind, _ name: String, _ causes: [Cause]) -> StatusError {
        // The same text stands once. Upstream: errors.NewAggregate.
        var seen: Set<String> = []
        let texts = causes.map { $0.field.isEmpty ? $0.message : "\($0.field): \($0.message)" }.filter { seen.insert($0).inserted }
        let list = texts.count == 1 ? texts[0] : "[\(texts.joined(separator: ", "))]"
        let qualified = kind.group.isEmpty ? kind.kind : "\(kind.kind).\(kind.group)"
        return StatusError(
            code: 422, reason: "Invalid", message: "\(qualified) \"\(name)\" is invalid: \(list)",
            details: Details(name: name, group: kind.group, kind: kind.kind, causes: causes))
    }
    package static func badRequest(_ message: String) -> StatusError { StatusError(code: 400, reason: "BadRequest", message: message) }
    package static var unauthorized: StatusError { StatusError(code: 401, reason: "Unauthorized", message: "Unauthorized") }
    package static func methodNotSupported(_ resource: GroupResource, _ verb: String) -> StatusError {
        StatusError(
            code: 405, reason: "MethodNotAllowed", message: "\(verb) is not supported on resources of kind \"\(resource)\"",
            details: Details(group: resource.group, kind: resource.resource))
    }
    package static func gone(_ message: String) -> StatusError { StatusError(code: 410, reason: "Gone", message: message) }
    /// A resourceVersion that is no longer held. Upstream: errors.NewResourceExpired.
    package static func expired(_ message: String) -> StatusError { StatusError(code: 410, reason: "Expired", message: message) }
    package static func internalError(_ message: String) -> StatusError {
        StatusError(
            code: 500, reason: "InternalError", message: "Internal error occurred: \(message)",
            details: Details(causes: [Cause(reason: "", message: message, field: "")]))
    }
    package static func serviceUnavailable(_ message: String) -> StatusError {
        StatusError(code: 503, reason: "ServiceUnavailable", message: message)
    }
    package static func notImplemented(_ what: String) -> StatusError {
        StatusError(code: 501, reason: "NotImplemented", message: "\(what) is not implemented by Eyrie yet")
    }

    /// The Status object for the wire.
    package var value: Value {
        var status: Value = ["kind": "Status", "apiVersion": "v1", "metadata": [:], "status": "Failure", "message": .string(message)]
        if !continueToken.isEmpty { status["metadata"] = ["continue": .string(continueToken)] }
        if !reason.isEmpty { status["reason"] = .string(reason) }
        if let details {
            var object: Value = [:]
            if !details.name.isEmpty { object["name"] = .string(details.name) }
            if !details.group.isEmpty { object["group"] = .string(details.group) }
            if !details.kind.isEmpty { object["kind"] = .string(details.kind) }
            if !details.causes.isEmpty {
                object["causes"] = .array(
                    details.causes.map { cause in
                        var entry: Value = [:]
                        if !cause.reason.isEmpty { entry["reason"] = .string(cause.reason) }
                        entry["message"] = .string(cause.message)
                        if !cause.field.isEmpty { entry["field"] = .string(cause.field) }
                        return entry
                    })
            }
            if details.retryAfterSeconds > 0 { object["retryAfterSeconds"] = .int(Int64(details.retryAfterSeconds)) }
            status["details"] = object
        }
        status["code"] = .int(Int64(code))
        return status
    }

    /// Reads a Status of failure off the wire; nil for anything else.
    package init?(status object: Object) {
        guard object.kind == "Status", object["status"].string != "Success" else { return nil }
        self.init(
            code: Int(object["code"].int ?? 500), reason: object["reason"].string ?? "", message: object["message"].string ?? "",
            details: object["details"].map { details in
                Details(
                    name: details["name"].string ?? "", group: details["group"].string ?? "", kind: details["kind"].string ?? "",
                    causes: details["causes"].elements.map {
                        Cause(reason: $0["reason"].string ?? "", message: $0["message"].string ?? "", field: $0["field"].string ?? "")
                    }, retryAfterSeconds: Int(details["retryAfterSeconds"].int ?? 0))
            })
    }

    package var isNotFound: Bool { reason == "NotFound" }
    package var isAlreadyExists: Bool { reason == "AlreadyExists" }
    package var isConflict: Bool { reason == "Conflict" }
    package var isExpired: Bool { reason == "Expired" || reason == "Gone" }
}
