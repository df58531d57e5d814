import KubeAPI

/// The name under which a write is noted. Upstream: fieldManager of the options, managerOrUserAgent.
enum FieldManager {
    /// Upstream: validation.FieldManagerMaxLength.
    static let maximumLength = 128

    /// What is wrong with a name that a client gave. Upstream: ValidateFieldManager.
    static func problems(_ name: String) -> [StatusError.Cause] {
        if name.utf8.count > maximumLength {
            return [
                .init(
                    reason: "FieldValueTooLong", message: "Too long: may not be more than \(maximumLength) bytes", field: "fieldManager")
            ]
        }
        for (place, scalar) in name.unicodeScalars.enumerated() where !isPrintable(scalar) {
            let code = String(scalar.value, radix: 16, uppercase: true)
            let padded = String(repeating: "0", count: max(0, 4 - code.count)) + code
            return [MetadataValidation.invalid("fieldManager", .string(name), "invalid character U+\(padded) (at position \(place))")]
        }
        return []
    }

    /// The part of a User-Agent before its first slash. Upstream: prefixFromUserAgent.
    static func name(userAgent: String) -> String {
        var name = ""
        for scalar in userAgent.unicodeScalars.prefix(while: { $0 != "/" }) where isPrintable(scalar) {
            guard name.utf8.count + UTF8.width(scalar) <= maximumLength else { break }
            name.unicodeScalars.append(scalar)
        }
        return name
    }

    /// Clients in the server's own process send no User-Agent: their user tells which component they are, by the name its process has upstream.
    static func name(user: UserInfo) -> String {
        switch user.name {
        case "system:apiserver": return "kube-apiserver"
        case let name where name.hasPrefix("system:serviceaccount:kube-system:"): return "kube-controller-manager"
        case let name where name.hasPrefix("system:node:"): return "kubelet"
        default: return String(user.name.split(separator: ":").last ?? "")
        }
    }

    /// Upstream: unicode.IsPrint: letters, marks, numbers, punctuation, symbols and the ASCII space.
    private static func isPrintable(_ scalar: Unicode.Scalar) -> Bool {
        if scalar.isASCII { return scalar.value >= 0x20 && scalar.value < 0x7F }
        switch scalar.properties.generalCategory {
        case .control, .format, .surrogate, .privateUse, .unassigned, .lineSeparator, .paragraphSeparator, .spaceSeparator: return false
        default: return true
        }
    }
}

extension ResourceVerbs {
    /// How a write is noted in `metadata.managedFields`.
    enum OwnershipNote: Sendable {
        /// As an update by this manager.
        case update(manager: String)
        /// The object carries its new managedFields already, or the write is no client's own: they stay as they are in the object.
        case asIs
    }

    /// The manager of a write that is no apply. Throws 422 for a name that is none; `options` is the kind it stands in: `CreateOptions`.
    func fieldManager(_ options: String) throws -> String {
        let name = request.query["fieldManager"] ?? ""
        let problems = FieldManager.problems(name)
        guard problems.isEmpty else { throw Self.invalidOptions(options, problems) }
        if !name.isEmpty { return name }
        guard let head = request.head else { return FieldManager.name(user: request.user) }
        return FieldManager.name(userAgent: head.fields["User-Agent"] ?? "")
    }

    static func invalidOptions(_ kind: String, _ causes: [StatusError.Cause]) -> StatusError {
        .invalid(GroupVersionKind(group: "meta.k8s.io", version: "v1", kind: kind), "", causes)
    }

    /// Ownership on a path of this resource, in the version that is stored or, for applies, in the one that is asked for.
    func ownership(subresource: String, isCreate: Bool = false, isExternal: Bool = false) -> FieldOwnership {
        let kind = isExternal ? row.groupVersionKind : scope.storedKind
        if let custom = scope.custom {
            let typing = custom.typing
            return FieldOwnership(
                walk: TypedWalk(type: typing.type, in: typing.table), apiVersion: kind.apiVersion, subresource: subresource,
                resetFields: resetFields(typing.type, subresource: subresource, isCreate: isCreate), now: environment.now(), asStructs: false)
        }
        let type =
            isExternal || scope.conversion == nil ? environment.schema.type(named: row.typeName) : environment.schema.type(of: scope.storedKind)
        return FieldOwnership(
            walk: TypedWalk(type: type, in: environment.schema), apiVersion: kind.apiVersion, subresource: subresource,
            resetFields: resetFields(type, subresource: subresource, isCreate: isCreate), now: environment.now())
    }

    /// What `ObjectPreparation` takes back of a write on this path. Upstream: GetResetFields of each strategy.
    private func resetFields(_ type: SchemaType?, subresource: String, isCreate: Bool) -> FieldSet {
        if subresource == "status" {
            var fields = (type?.fields.map(\.name) ?? ["spec"]).filter { !["apiVersion", "kind", "metadata", "status"].contains($0) }
                .map { [PathElement.field($0)] }
            fields += ObjectPreparation.metadataKeptByStatus(row).map { [.field("metadata"), .field($0)] }
            return FieldSet(paths: fields)
        }
        // Upstream: certificates' csrApprovalStrategy.
        if subresource == "approval" { return FieldSet(paths: [[.field("spec")], [.field("status"), .field("certificate")]]) }
        let dropsStatus = isCreate ? ObjectPreparation.dropsStatusOnCreate(row) : row.hasStatus && subresource.isEmpty
        return dropsStatus ? FieldSet(paths: [[.field("status")]]) : FieldSet()
    }

    /// Sets the managedFields of an object that is about to be made or changed.
    func note(_ note: OwnershipNote, in object: inout Value, old: Value?, subresource: String) {
        guard environment.tracksFieldOwnership else {
            object[path: "metadata", "managedFields"] = old?[path: "metadata", "managedFields"]
            return
        }
        guard case .update(let manager) = note else { return }
        let managed = ownership(subresource: subresource, isCreate: old == nil).afterUpdate(old: old, new: object, manager: manager)
        object[path: "metadata", "managedFields"] = managed
    }
}
