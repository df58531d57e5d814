package import AWSProtocol

extension LaunchTemplateRecord {
    /// The version a client names: a number, `$Latest` or `$Default`.
    func version(_ name: String) -> Version? {
        switch name {
        case "$Latest": versions.first { $0.number == latestVersion }
        case "$Default": versions.first { $0.number == defaultVersion }
        default: Int(name).flatMap { number in versions.first { $0.number == number } }
        }
    }
}

extension EC2Tables {
    /// The template of an id or a name. Throws InvalidLaunchTemplateId.NotFound, InvalidLaunchTemplateName.NotFoundException.
    func launchTemplate(id: String?, name: String?) throws(AWSError) -> LaunchTemplateRecord {
        if let id {
            guard let found = launchTemplates[id] else {
                throw AWSError("InvalidLaunchTemplateId.NotFound", "The specified launch template, with template ID \(id), does not exist.")
            }
            return found
        }
        guard let name else {
            throw AWSError("MissingParameter", "You must specify either the launch template ID or the launch template name in the request.")
        }
        guard let found = launchTemplates.values.first(where: { $0.name == name }) else {
            throw AWSError(
                "InvalidLaunchTemplateName.NotFoundException", "The specified launch template, with template name \(name), does not exist.")
        }
        return found
    }

    fileprivate mutating func createLaunchTemplate(_ template: LaunchTemplateRecord) throws(AWSError) -> LaunchTemplateRecord {
        if let token = template.clientToken, let known = launchTemplates.values.first(where: { $0.clientToken == token }) { return known }
        guard !launchTemplates.values.contains(where: { $0.name == template.name }) else {
            throw AWSError("InvalidLaunchTemplateName.AlreadyExistsException", "Launch template name already in use.")
        }
        guard launchTemplates.values.count < 5_000 else {
            throw AWSError("LaunchTemplateLimitExceeded", "You have reached the maximum number of launch templates.")
        }
        launchTemplates[template.id] = template
        return template
    }

    /// A further version over `source`, which becomes the latest. Throws InvalidLaunchTemplateId.VersionNotFound and the like.
    fileprivate mutating func addVersion(_ call: EC2Call, _ source: String?, now: Double) throws(AWSError) -> (
        LaunchTemplateRecord, LaunchTemplateRecord.Version
    ) {
        var template = try launchTemplate(id: call.parameters["LaunchTemplateId"], name: call.parameters["LaunchTemplateName"])
        let base = try source.map { (name) throws(AWSError) in try template.requireVersion(name) }
        guard template.versions.count < 10_000 else {
            throw AWSError("VersionLimitExceeded", "You have reached the maximum number of versions of the launch template.")
        }
        template.latestVersion += 1
        let version = LaunchTemplateRecord.Version(
            number: template.latestVersion, description: call.parameters["VersionDescription"], createdAt: now, createdBy: call.request.caller.arn,
            data: try LaunchTemplateData.read(call.parameters, over: base?.data))
        template.versions.append(version)
        launchTemplates[template.id] = template
        return (template, version)
    }
}

extension LaunchTemplateRecord {
    fileprivate func requireVersion(_ name: String) throws(AWSError) -> Version {
        guard let found = version(name) else {
            throw AWSError(
                "InvalidLaunchTemplateId.VersionNotFound",
                "Could not find the specified version \(name.prefix(20)) for the launch template with ID \(id).")
        }
        return found
    }
}

extension XMLWriter {
    fileprivate mutating func launchTemplate(_ template: LaunchTemplateRecord, _ tags: [String: String]) {
        leaf("launchTemplateId", template.id)
        leaf("launchTemplateName", template.name)
        leaf("createTime", AWSTimestamp.extendedMilliseconds(template.createdAt))
        leaf("createdBy", template.createdBy)
        leaf("defaultVersionNumber", template.defaultVersion)
        leaf("latestVersionNumber", template.latestVersion)
        element("operator") { $0.leaf("managed", false) }
        ec2Tags(tags)
    }

    fileprivate mutating func launchTemplateVersion(_ template: LaunchTemplateRecord, _ version: LaunchTemplateRecord.Version) {
        leaf("launchTemplateId", template.id)
        leaf("launchTemplateName", template.name)
        leaf("versionNumber", version.number)
        leaf("versionDescription", version.description)
        leaf("createTime", AWSTimestamp.extendedMilliseconds(version.createdAt))
        leaf("createdBy", version.createdBy)
        leaf("defaultVersion", version.number == template.defaultVersion)
        launchTemplateData(version.data)
    }
}

extension EC2Service {
    private static let one = "launch-template/{LaunchTemplateId}"

    static let launchTemplateOperations: [String: EC2Operation] = [
        "CreateLaunchTemplate": EC2Operation("launch-template/*") { call in
            let (name, tags, now) = (try call.required("LaunchTemplateName"), try call.tags(for: "launch-template"), call.network.clock.now)
            guard (3...128).contains(name.count), name.allSatisfy({ $0.isASCII && ($0.isLetter || $0.isNumber || "()./_-".contains($0)) }) else {
                throw AWSError(
                    "InvalidLaunchTemplateName.MalformedException",
                    "Launch template name must be between 3 and 128 characters and may contain letters, numbers and ( ) . / _ -")
            }
            let version = LaunchTemplateRecord.Version(
                number: 1, description: call.parameters["VersionDescription"], createdAt: now, createdBy: call.request.caller.arn,
                data: try LaunchTemplateData.read(call.parameters, over: nil))
            let asked = LaunchTemplateRecord(
                id: AWSIdentifier.resource("lt"), name: name, createdAt: now, createdBy: call.request.caller.arn, defaultVersion: 1, latestVersion: 1,
                versions: [version], clientToken: call.parameters["ClientToken"])
            let (template, all) = try await call.update { tables in
                let template = try tables.createLaunchTemplate(asked)
                tables.setTags(tags, on: template.id)
                return (template, tables.tags(of: template.id))
            }
            return { $0.element("launchTemplate") { $0.launchTemplate(template, all) } }
        },
        "DeleteLaunchTemplate": EC2Operation(one) { call in
            let (template, tags) = try await call.update { tables in
                let template = try tables.launchTemplate(id: call.parameters["LaunchTemplateId"], name: call.parameters["LaunchTemplateName"])
                let tags = tables.tags(of: template.id)
                tables.launchTemplates[template.id] = nil
                tables.tags[template.id] = nil
                return (template, tags)
            }
            return { $0.element("launchTemplate") { $0.launchTemplate(template, tags) } }
        },
        "ModifyLaunchTemplate": EC2Operation(one) { call in
            let (template, tags) = try await call.update { tables in
                var template = try tables.launchTemplate(id: call.parameters["LaunchTemplateId"], name: call.parameters["LaunchTemplateName"])
                if let name = call.parameters["SetDefaultVersion"] { template.defaultVersion = try template.requireVersion(name).number }
                tables.launchTemplates[template.id] = template
                return (template, tables.tags(of: template.id))
            }
            return { $0.element("launchTemplate") { $0.launchTemplate(template, tags) } }
        },
        "CreateLaunchTemplateVersion": EC2Operation(one) { call in
            let now = call.network.clock.now
            let (template, version) = try await call.update { try $0.addVersion(call, call.parameters["SourceVersion"], now: now) }
            return { $0.element("launchTemplateVersion") { $0.launchTemplateVersion(template, version) } }
        },
        "DeleteLaunchTemplateVersions": EC2Operation(one) { try await deleteVersions($0) },
        "DescribeLaunchTemplates": EC2Operation("*") { call in
            let tables = try await call.read { $0 }
            let names = call.parameters.strings("LaunchTemplateName")
            for name in names { _ = try tables.launchTemplate(id: nil, name: name) }
            let found = try call.describe(
                tables.launchTemplates.rows.filter { names.isEmpty || names.contains($0.value.name) },
                ids: call.parameters.strings("LaunchTemplateId"),
                tags: tables.tags.rows,
                missing: {
                    AWSError("InvalidLaunchTemplateId.NotFound", "The specified launch template, with template ID \($0), does not exist.")
                }
            ) { template, filter in
                switch filter {
                case "launch-template-name": [template.name]
                case "create-time": [AWSTimestamp.extendedMilliseconds(template.createdAt)]
                default: nil
                }
            }
            return { xml in
                xml.list("launchTemplates", of: found.rows) { $0.launchTemplate($1.row, tables.tags(of: $1.id)) }
                found.finish(&xml)
            }
        },
        "DescribeLaunchTemplateVersions": EC2Operation("*") { try await describeVersions($0) },
        "GetLaunchTemplateData": EC2Operation("*") { _ in
            throw AWSError("UnsupportedOperation", "GetLaunchTemplateData is not implemented by Eyrie.")
        },
    ]

    private static func deleteVersions(_ call: EC2Call) async throws -> (inout XMLWriter) -> Void {
        let names = call.parameters.strings("LaunchTemplateVersion")
        guard !names.isEmpty else { throw EC2Fault.missingParameter("launchTemplateVersions") }
        let (template, deleted, failed) = try await call.update { tables in
            var template = try tables.launchTemplate(id: call.parameters["LaunchTemplateId"], name: call.parameters["LaunchTemplateName"])
            var (deleted, failed): ([Int], [String]) = ([], [])
            for name in names {
                guard let number = Int(name), number != template.defaultVersion, template.version(name) != nil else {
                    failed.append(name)
                    continue
                }
                template.versions.removeAll { $0.number == number }
                deleted.append(number)
            }
            tables.launchTemplates[template.id] = template
            return (template, deleted, failed)
        }
        return { xml in
            xml.list("successfullyDeletedLaunchTemplateVersionSet", of: deleted) { xml, number in
                xml.leaf("launchTemplateId", template.id)
                xml.leaf("launchTemplateName", template.name)
                xml.leaf("versionNumber", number)
            }
            xml.list("unsuccessfullyDeletedLaunchTemplateVersionSet", of: failed) { xml, name in
                xml.leaf("launchTemplateId", template.id)
                xml.leaf("launchTemplateName", template.name)
                xml.leaf("versionNumber", Int(name) ?? 0)
                xml.element("responseError") { xml in
                    let isDefault = Int(name) == template.defaultVersion
                    xml.leaf("code", isDefault ? "unexpectedError" : "launchTemplateVersionDoesNotExist")
                    xml.leaf("message", isDefault ? "The default version cannot be deleted." : "The version does not exist.")
                }
            }
        }
    }

    private static func describeVersions(_ call: EC2Call) async throws -> (inout XMLWriter) -> Void {
        let tables = try await call.read { $0 }
        let (id, name, wanted) = (
            call.parameters["LaunchTemplateId"], call.parameters["LaunchTemplateName"], call.parameters.strings("LaunchTemplateVersion")
        )
        var templates = Array(tables.launchTemplates.values)
        if id != nil || name != nil { templates = [try tables.launchTemplate(id: id, name: name)] }
        guard id != nil || name != nil || wanted.allSatisfy({ $0 == "$Latest" || $0 == "$Default" }) && !wanted.isEmpty else {
            throw EC2Fault.missingParameter("launchTemplateId")
        }
        var entries: [String: (template: LaunchTemplateRecord, version: LaunchTemplateRecord.Version)] = [:]
        for template in templates {
            var versions = template.versions
            if !wanted.isEmpty { versions = try wanted.map { try template.requireVersion($0) } }
            if let least = try call.integer("MinVersion", in: 1...Int.max) { versions.removeAll { $0.number < least } }
            if let most = try call.integer("MaxVersion", in: 1...Int.max) { versions.removeAll { $0.number > most } }
            for version in versions {
                // The newest first.
                let order = String(1_000_000_000 - version.number)
                entries[template.id + "/" + String(repeating: "0", count: max(0, 10 - order.utf8.count)) + order] = (template, version)
            }
        }
        let found = try call.describe(entries, ids: [], tags: [:], missing: { AWSError("InvalidID", "The ID '\($0)' is not valid") }) {
            entry, filter in
            let data = LaunchTemplateData.parse(entry.version.data)
            return switch filter {
            case "is-default-version": ["\(entry.version.number == entry.template.defaultVersion)"]
            case "image-id": [data["ImageId"]?.stringValue].compactMap { $0 }
            case "instance-type": [data["InstanceType"]?.stringValue].compactMap { $0 }
            default: nil
            }
        }
        return { xml in
            xml.list("launchTemplateVersionSet", of: found.rows) { $0.launchTemplateVersion($1.row.template, $1.row.version) }
            found.finish(&xml)
        }
    }
}

/// A version of a launch template, for those who launch by it.
package struct LaunchTemplateFacts: Sendable, Equatable {
    package var id: String
    package var name: String
    package var version: Int
    /// `LaunchTemplateData` with the request's names: `InstanceType`, `ImageId`, `UserData`, `SecurityGroupId`, `TagSpecification`.
    package var data: AWSJSON
}

extension EC2Network {
    /// The version (`3`, `$Latest`, `$Default`; nil, the default) of the launch template of an id or a name. Throws `AWSError`
    /// InvalidLaunchTemplateId.NotFound, InvalidLaunchTemplateId.VersionNotFound and the like.
    package func launchTemplate(id: String?, name: String?, version: String?) async throws -> LaunchTemplateFacts {
        try await state.read { tables in
            let template = try tables.launchTemplate(id: id, name: name)
            let found = try template.requireVersion(version ?? "$Default")
            return LaunchTemplateFacts(id: template.id, name: template.name, version: found.number, data: LaunchTemplateData.parse(found.data))
        }
    }
}
