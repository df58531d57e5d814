/// The forms of a patch, by media type. Upstream: types.PatchType.
package enum PatchType: String, Sendable, CaseIterable {
    case json = "application/json-patch+json"
    case merge = "application/merge-patch+json"
    case strategicMerge = "application/strategic-merge-patch+json"
    case apply = "application/apply-patch+yaml"
}

extension StatusError {
    /// What a patch that cannot be applied is answered with: upstream hides the reason. Upstream: errors.NewGenericServerResponse of 422.
    package static var patchRejected: StatusError {
        StatusError(code: 422, reason: "Invalid", message: "the server rejected our request due to an error in our request", details: Details())
    }

    /// Upstream: errors.NewRequestEntityTooLargeError.
    package static func requestEntityTooLarge(_ message: String) -> StatusError {
        StatusError(code: 413, reason: "RequestEntityTooLarge", message: "Request entity too large: \(message)")
    }
}
