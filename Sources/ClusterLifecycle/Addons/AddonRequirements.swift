import AWSProtocol

/// The checks of add-ons, as functions of the catalogue. Upstream: EKS User Guide, "Amazon EKS add-ons".
enum AddonRequirements {
    /// The definition and version for a request. Throws InvalidParameterException in EKS's words.
    static func version(
        _ name: String, asked: String?, cluster: ClusterRecord, _ fields: [String: AWSJSON]
    ) throws(AWSError) -> (AddonDefinition, AddonVersion) {
        guard let definition = AddonCatalog.named(name) else {
            throw EKSFault.invalidParameter("Addon \(name.prefix(100)) specified is not supported in \(cluster.version) kubernetes version", fields)
        }
        guard definition.isBuilt else {
            throw EKSFault.invalidParameter("The add-on \(name) is not implemented by Eyrie yet.", fields)
        }
        guard let version = asked.map(definition.version) ?? definition.standard(kubernetes: cluster.version),
            version.kubernetesVersions.contains(cluster.version)
        else { throw EKSFault.invalidParameter("Addon version specified is not supported", fields) }
        return (definition, version)
    }

    /// Checks settings against the add-on's schema. Throws InvalidParameterException in EKS's words.
    static func checkConfiguration(_ text: String?, _ definition: AddonDefinition, _ fields: [String: AWSJSON]) throws(AWSError) {
        func unsupported(_ reason: String) -> AWSError {
            EKSFault.invalidParameter("ConfigurationValue provided in request is not supported: \(reason)", fields)
        }
        let settings: AddonSettings
        do { settings = try AddonSettings(text) } catch { throw unsupported("it must be a JSON or YAML object") }
        let problems = settings.problems(definition.schema)
        guard problems.isEmpty else { throw unsupported("Json schema validation failed with error: [\(problems.joined(separator: ", "))]") }
        if let problem = settings.corefileProblem { throw unsupported(problem) }
    }

    /// Checks the service accounts that are to have roles. Throws InvalidParameterException in EKS's words.
    static func checkAssociations(
        _ associations: [AddonPodIdentity], _ definition: AddonDefinition, _ fields: [String: AWSJSON]
    ) throws(AWSError) {
        for association in associations where !definition.serviceAccounts.contains(where: { $0.name == association.serviceAccount }) {
            throw EKSFault.invalidParameter(
                "Service account \(association.serviceAccount.prefix(100)) in pod identity configuration is not supported for addon "
                    + definition.name, fields)
        }
        guard Set(associations.map(\.serviceAccount)).count == associations.count else {
            throw EKSFault.invalidParameter("A service account can have one role in podIdentityAssociations", fields)
        }
    }
}
