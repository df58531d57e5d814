import KubeAPI
import Synchronization

/// One version of a custom resource as it is served: its row, its schema, and what the schema is compiled to, each when first needed and then kept.
/// Upstream: the crdInfo of customresource_handler.go with its scopes, storages and strategies.
final class CustomResourceVersion: Sendable {
    let definition: CustomResourceDefinition
    let row: ResourceRow
    /// The version objects are written in.
    let storageVersion: String
    /// What clients of a deprecated version are told.
    let deprecation: String?
    /// Nil: no scale subresource.
    let scale: ScalePaths?
    /// Whether the definition is going: nothing new is made.
    let isTerminating: Bool
    /// Ends when the definition changes or goes; watches end with it.
    let retirement = Retirement()
    let conversion: CustomResourceConversion
    private let view: JSONView
    private let lazySchema = Mutex<StructuralSchema?>(nil)
    private let lazyTyping = Mutex<StructuralTyping?>(nil)
    private let lazyRules = Mutex<CustomResourceRules?>(nil)

    /// Where a Scale's members are read and written. Upstream: CustomResourceSubresourceScale.
    struct ScalePaths: Sendable, Equatable {
        var specReplicas: [String]
        var statusReplicas: [String]
        var labelSelector: [String]?
        /// As it was given, for errors.
        var specReplicasPath: String
        var statusReplicasPath: String

        init(_ view: JSONView) {
            func steps(_ text: String) -> [String] { text.split(separator: ".").map(String.init) }
            specReplicasPath = view["specReplicasPath"].string ?? ""
            statusReplicasPath = view["statusReplicasPath"].string ?? ""
            specReplicas = steps(specReplicasPath)
            statusReplicas = steps(statusReplicasPath)
            let selector = view["labelSelectorPath"].string ?? ""
            labelSelector = selector.isEmpty ? nil : steps(selector)
        }
    }

    private init(definition: CustomResourceDefinition, view: JSONView, storageVersion: String, conversion: CustomResourceConversion) {
        let names = definition.acceptedNames
        let version = view["name"].string ?? ""
        let group = definition.group
        let subresources = view["subresources"].present
        let kind = GroupVersionKind(group: group, version: version, kind: names.kind)
        var rows: [ResourceRow.Subresource] = []
        if subresources["status"].present != nil { rows.append(.init(name: "status", kind: kind, verbs: ["get", "patch", "update"])) }
        let scale = subresources["scale"].present.map(ScalePaths.init)
        if scale != nil {
            rows.append(
                .init(
                    name: "scale", kind: GroupVersionKind(group: "autoscaling", version: "v1", kind: "Scale"), hasOwnGroupVersion: true,
                    verbs: ["get", "patch", "update"]))
        }
        let columns = view["additionalPrinterColumns"].elements.map { column in
            TableColumn(
                name: column["name"].string ?? "", type: column["type"].string ?? "string", format: column["format"].string ?? "",
                priority: Int(clamping: column["priority"].int ?? 0), jsonPath: column["jsonPath"].string ?? "")
        }
        let isTerminating = definition.isTerminating || definition.object.metadata.isBeingDeleted
        var row = ResourceRow(
            group: group, version: version, resource: names.plural, kind: names.kind, singular: names.singular, shortNames: names.shortNames,
            categories: names.categories, namespaced: definition.isNamespaced,
            verbs: isTerminating ? ["delete", "deletecollection", "get", "list", "watch"] : Self.verbs, subresources: rows, columns: columns,
            isCustom: true)
        row.customListKind = names.listKind
        row.selectableFields = view["selectableFields"].elements.compactMap { $0["jsonPath"].string.map { String($0.drop { $0 == "." }) } }
        self.definition = definition
        self.row = row
        self.view = view
        self.storageVersion = storageVersion
        self.scale = scale
        self.isTerminating = isTerminating
        self.conversion = conversion
        if view["deprecated"].bool == true {
            deprecation = view["deprecationWarning"].string ?? "\(group)/\(version) \(names.kind) is deprecated"
        } else {
            deprecation = nil
        }
    }

    /// In the order upstream's discovery has them.
    private static let verbs = ["delete", "deletecollection", "get", "list", "patch", "create", "update", "watch"]

    /// The versions of a definition, served or not, whose names were accepted; none before.
    static func all(of definition: CustomResourceDefinition, conversion: CustomResourceConversion) -> [CustomResourceVersion] {
        guard definition.isEstablished || definition.isTrue("NamesAccepted"), !definition.acceptedNames.plural.isEmpty,
            let storage = definition.storageVersion
        else { return [] }
        return definition.versions.map {
            CustomResourceVersion(definition: definition, view: $0, storageVersion: storage, conversion: conversion)
        }
    }

    /// Why nothing may be made while the definition goes. Upstream: customresource_handler.serveResource.
    func refusal(of verb: String) -> StatusError {
        var error = StatusError.methodNotSupported(row.groupResource, verb)
        error.message = "\(verb) not allowed while custom resource definition is terminating"
        return error
    }

    var isServed: Bool { view["served"].bool == true }
    var isStorage: Bool { row.version == storageVersion }

    /// Builds `value` once. Made outside the lock: another task may make the same one, and the first stays.
    private func once<T: Sendable>(_ slot: borrowing Mutex<T?>, _ make: () -> T) -> T {
        if let value = slot.withLock({ $0 }) { return value }
        let made = make()
        return slot.withLock { value in
            if let value { return value }
            value = made
            return made
        }
    }

    var schema: StructuralSchema {
        once(lazySchema) {
            let given = view["schema"]["openAPIV3Schema"].present
            // Without a schema everything is kept.
            return given.map(StructuralSchema.init) ?? StructuralSchema.anything
        }
    }

    /// What server-side apply goes by.
    var typing: StructuralTyping { once(lazyTyping) { StructuralTyping(schema) } }

    /// The compiled rules of the schema.
    var rules: CustomResourceRules { once(lazyRules) { CustomResourceRules(schema) } }

    /// Whether fields without a schema are kept all over.
    var keepsUnknownFields: Bool { definition.preservesUnknownFields }
}

extension StructuralSchema {
    /// Of definitions without a schema, from before apiextensions/v1.
    static let anything: StructuralSchema = {
        do { return StructuralSchema(try JSONDocument(Array(#"{"type":"object","x-kubernetes-preserve-unknown-fields":true}"#.utf8)).root) } catch {
            preconditionFailure("the schema of anything is JSON")
        }
    }()
}

/// Tells those who wait when something is no longer served.
final class Retirement: Sendable {
    private struct State {
        var isOver = false
        var next: UInt64 = 0
        var waiters: [UInt64: CheckedContinuation<Void, Never>] = [:]
    }
    private let state = Mutex(State())

    func end() {
        let waiters = state.withLock { state in
            state.isOver = true
            defer { state.waiters = [:] }
            return state.waiters
        }
        for waiter in waiters.values { waiter.resume() }
    }

    /// Returns when it is over or the task is cancelled.
    func wait() async {
        let number = state.withLock { state in
            state.next &+= 1
            return state.next
        }
        await withTaskCancellationHandler {
            await withCheckedContinuation { (continuation: CheckedContinuation<Void, Never>) in
                let isDue = state.withLock { state in
                    if state.isOver || Task.isCancelled { return true }
                    state.waiters[number] = continuation
                    return false
                }
                if isDue { continuation.resume() }
            }
        } onCancel: {
            state.withLock { $0.waiters.removeValue(forKey: number) }?.resume()
        }
    }
}
