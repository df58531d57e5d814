import KubeAPI

/// The names of signers: a domain, a slash, a path. Upstream: certificates/validation.ValidateCertificateSigningRequestSignerName.
enum SignerNames {
    static func validate(_ field: String, _ name: String, _ errors: inout FieldErrors) {
        if name.isEmpty { return errors.required(field, "signerName must be provided") }
        let segments = name.split(separator: "/", omittingEmptySubsequences: false).map(String.init)
        guard segments.count == 2 else {
            return errors.invalid(field, text: name, "must be a fully qualified domain and path of the form 'example.com/signer-name'")
        }
        if segments[0].utf8.count > Names.subdomainMaximum { errors.tooLong(field, maximum: Names.subdomainMaximum) }
        let labels = segments[0].split(separator: ".", omittingEmptySubsequences: false).map(String.init)
        parts(labels, .dnsLabel, segments[0], field, &errors)
        if labels.count < 2 {
            errors.invalid(field, text: segments[0], "should be a domain with at least two segments separated by dots")
        }
        parts(segments[1].split(separator: ".", omittingEmptySubsequences: false).map(String.init), .dnsSubdomain, segments[1], field, &errors)
        let maximum = Names.subdomainMaximum * 2 + Names.labelMaximum + 2
        if name.utf8.count > maximum { errors.tooLong(field, maximum: maximum) }
    }

    /// The problems of the first part that has any.
    private static func parts(
        _ parts: [String], _ rule: MetadataValidation.NameRule, _ shown: String, _ field: String, _ errors: inout FieldErrors
    ) {
        for part in parts {
            let problems = Names.problems(part, rule)
            for problem in problems { errors.invalid(field, text: shown, "validating label \(part.goQuoted): \(problem)") }
            if !problems.isEmpty { return }
        }
    }
}
