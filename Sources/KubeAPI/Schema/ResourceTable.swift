/// One column of a table of `kubectl get`. Upstream: metav1.TableColumnDefinition.
package struct TableColumn: Sendable, Hashable {
    package var name: String
    /// `string`, `integer`, `number`, `boolean`, `date`.
    package var type: String
    /// `name` marks the column that holds the object's name.
    package var format: String
    /// 0: always shown; above: only in `-o wide`.
    package var priority: Int
    /// Where a custom resource's cell is read. Upstream: CustomResourceColumnDefinition.jsonPath.
    package var jsonPath: String

    package init(name: String, type: String, format: String = "", priority: Int = 0, jsonPath: String = "") {
        self.name = name
        self.type = type
        self.format = format
        self.priority = priority
        self.jsonPath = jsonPath
    }
}

/// One resource of the API in one version: everything that discovery and the generic path know of it. Upstream: metav1.APIResource and rest.Storage.
package struct ResourceRow: Sendable, Hashable {
    package var group: String
    package var version: String
    /// The plural of URLs: `pods`.
    package var resource: String
    package var kind: String
    package var singular: String
    package var shortNames: [String]
    package var categories: [String]
    package var namespaced: Bool
    /// Sorted, as discovery lists them: `create`, `delete`, `deletecollection`, `get`, `list`, `patch`, `update`, `watch`.
    package var verbs: [String]
    package var subresources: [Subresource]
    /// The `SchemaTable` name of its type: `api.core.v1.Pod`. Custom resources may have none (empty): any fields.
    package var typeName: String
    /// Empty: Name and Created At, the default. For custom resources the columns after Name.
    package var columns: [TableColumn]
    /// Whether it comes from a CustomResourceDefinition.
    package var isCustom: Bool
    /// The kind of lists, where a CustomResourceDefinition names another than the kind with `List` after it.
    package var customListKind = ""
    /// The fields that selectors may name beside name and namespace, of custom resources: `spec.color`.
    package var selectableFields: [String] = []

    /// A resource below another: `status`, `scale`, `exec`. Upstream: an APIResource whose name is `pods/status`.
    package struct Subresource: Sendable, Hashable {
        package var name: String
        /// The kind it speaks, with group and version where these are not the parent's.
        package var kind: GroupVersionKind
        /// Whether `kind` is of another group and version than the parent, and so named in discovery.
        package var hasOwnGroupVersion: Bool
        package var verbs: [String]

        package init(name: String, kind: GroupVersionKind, hasOwnGroupVersion: Bool = false, verbs: [String]) {
            self.name = name
            self.kind = kind
            self.hasOwnGroupVersion = hasOwnGroupVersion
            self.verbs = verbs
        }
    }

    package init(
        group: String, version: String, resource: String, kind: String, singular: String = "", shortNames: [String] = [], categories: [String] = [],
        namespaced: Bool, verbs: [String] = ResourceRow.allVerbs, subresources: [Subresource] = [], typeName: String = "",
        columns: [TableColumn] = [],
        isCustom: Bool = false
    ) {
        self.group = group
        self.version = version
        self.resource = resource
        self.kind = kind
        self.singular = singular.isEmpty ? kind.lowercased() : singular
        self.shortNames = shortNames
        self.categories = categories
        self.namespaced = namespaced
        self.verbs = verbs
        self.subresources = subresources
        self.typeName = typeName
        self.columns = columns
        self.isCustom = isCustom
    }

    package static let allVerbs = ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"]

    package var groupVersion: String { group.isEmpty ? version : "\(group)/\(version)" }
    package var groupResource: GroupResource { GroupResource(group: group, resource: resource) }
    package var groupVersionResource: GroupVersionResource { GroupVersionResource(group: group, version: version, resource: resource) }
    package var groupVersionKind: GroupVersionKind { GroupVersionKind(group: group, version: version, kind: kind) }
    package var listKind: String { customListKind.isEmpty ? kind + "List" : customListKind }
    /// `/api/v1` or `/apis/GROUP/VERSION`.
    package var pathPrefix: String { groupVersionResource.pathPrefix }

    /// Whether discovery lists `verb` for the resource itself.
    package func supports(_ verb: String) -> Bool { verbs.contains(verb) }
    /// The subresource `name`, such as `status`; nil when the resource has none of that name.
    package func subresource(_ name: String) -> Subresource? { subresources.first { $0.name == name } }
    /// Whether `status` is written through its own path only. Upstream: a rest.Storage with a StatusREST.
    package var hasStatus: Bool { subresource("status") != nil }
    package var hasScale: Bool { subresource("scale") != nil }
    /// Whether objects of it are kept at all; reviews and bindings are answered and forgotten.
    package var isStored: Bool { verbs.contains("get") && verbs.contains("create") }
}

/// All resources served, by resource and by kind, in discovery order. A value: rows of CustomResourceDefinitions are added to a copy.
package struct ResourceTable: Sendable {
    package private(set) var rows: [ResourceRow] = []
    private var places: [GroupVersionResource: Int] = [:]
    private var kinds: [GroupVersionKind: Int] = [:]
    private var groupResources: [GroupResource: [Int]] = [:]

    /// A table without rows.
    package init() {}

    /// The built-in resources, parsed once from the embedded table.
    package static let shared = ResourceTable(resources: EmbeddedTable.resources, columns: EmbeddedTable.columns)

    /// The row of a resource in one version.
    package subscript(resource: GroupVersionResource) -> ResourceRow? { places[resource].map { rows[$0] } }
    /// The row of a kind in one version.
    package subscript(kind: GroupVersionKind) -> ResourceRow? { kinds[kind].map { rows[$0] } }
    /// All versions of a resource, the preferred one first.
    package subscript(resource: GroupResource) -> [ResourceRow] { (groupResources[resource] ?? []).map { rows[$0] } }

    /// Adds a row, or takes the place of the one with its group, version and resource.
    package mutating func add(_ row: ResourceRow) {
        if let place = places[row.groupVersionResource] {
            rows[place] = row
        } else {
            rows.append(row)
        }
        index()
    }

    /// Takes a row out; a resource that is not in the table changes nothing.
    package mutating func remove(_ resource: GroupVersionResource) {
        rows.removeAll { $0.groupVersionResource == resource }
        index()
    }

    /// Takes rows out and adds others, at the price of one.
    package mutating func replace(removing: Set<GroupVersionResource>, adding: [ResourceRow]) {
        rows.removeAll { removing.contains($0.groupVersionResource) }
        rows += adding
        index()
    }

    /// Groups in discovery order (the core group, named "", first), each with its versions, the preferred one first. Built-in groups keep the
    /// table's order; groups of custom resources follow by name, their versions in Kubernetes' order of versions.
    package var groups: [(group: String, versions: [String])] {
        var order: [String] = []
        var versions: [String: [String]] = [:]
        var builtIn: Set<String> = []
        for row in rows {
            if versions[row.group] == nil { order.append(row.group) }
            if versions[row.group]?.contains(row.version) != true { versions[row.group, default: []].append(row.version) }
            if !row.isCustom { builtIn.insert(row.group) }
        }
        let custom = order.filter { !builtIn.contains($0) }.sorted()
        return order.filter(builtIn.contains).map { ($0, versions[$0] ?? []) }
            + custom.map { ($0, (versions[$0] ?? []).sorted(by: KubernetesVersion.isPreferred)) }
    }

    /// The rows of one version of a group, in the table's order.
    package func rows(group: String, version: String) -> [ResourceRow] { rows.filter { $0.group == group && $0.version == version } }

    private mutating func index() {
        places.removeAll(keepingCapacity: true)
        kinds.removeAll(keepingCapacity: true)
        groupResources.removeAll(keepingCapacity: true)
        for (place, row) in rows.enumerated() {
            places[row.groupVersionResource] = place
            if kinds[row.groupVersionKind] == nil { kinds[row.groupVersionKind] = place }
            groupResources[row.groupResource, default: []].append(place)
        }
    }

    /// Reads the formats that the heads of data/resources.txt and data/columns.txt tell.
    init(resources: EmbeddedTable, columns: EmbeddedTable) {
        var columnsByResource: [String: [TableColumn]] = [:]
        columns.forEachLine { line in
            guard let space = line.firstIndex(of: " ") else { return }
            columnsByResource[String(line[..<space])] = line[line.index(after: space)...].split(separator: "|").compactMap { cell in
                let parts = cell.split(separator: ":", omittingEmptySubsequences: false).map(String.init)
                return parts.count == 4 ? TableColumn(name: parts[0], type: parts[1], format: parts[2], priority: Int(parts[3]) ?? 0) : nil
            }
        }
        resources.forEachLine { line in
            let words = line.split(separator: " ").map(String.init)
            if line.first == " " {
                guard words.count == 4, let parent = rows.indices.last else { return }
                let own = words[1] != "-"
                let kind = GroupVersionKind(apiVersion: own ? words[1] : rows[parent].groupVersion, kind: words[2])
                rows[parent].subresources.append(
                    .init(name: words[0], kind: kind, hasOwnGroupVersion: own, verbs: words[3].split(separator: ",").map(String.init)))
                return
            }
            guard words.count >= 8 else { return }
            let names = GroupVersionKind(apiVersion: words[1], kind: words[3])
            var row = ResourceRow(
                group: names.group, version: names.version, resource: words[2], kind: words[3], singular: words[4],
                namespaced: words[5] == "namespaced",
                typeName: words[6], columns: columnsByResource["\(words[1])/\(words[2])"] ?? [])
            for mark in words.dropFirst(7) {
                guard let equals = mark.firstIndex(of: "=") else { continue }
                let list = mark[mark.index(after: equals)...].split(separator: ",").map(String.init)
                switch mark[..<equals] {
                case "verbs": row.verbs = list == ["all"] ? ResourceRow.allVerbs : list
                case "short": row.shortNames = list
                case "categories": row.categories = list
                default: break
                }
            }
            rows.append(row)
        }
        index()
    }
}

/// The order of API versions: `v2` before `v1` before `v1beta2` before `v1alpha1` before anything else by name. Upstream:
/// version.CompareKubeAwareVersionStrings.
package enum KubernetesVersion {
    /// Whether `a` is preferred to `b`.
    package static func isPreferred(_ a: String, _ b: String) -> Bool {
        switch (parse(a), parse(b)) {
        case (let x?, let y?): return x.lexicographicallyPrecedes(y) ? false : x != y
        case (_?, nil): return true
        case (nil, _?): return false
        case (nil, nil): return a < b
        }
    }

    /// [stability, major, minor], each the greater the more preferred; nil for a name that is no Kubernetes version.
    private static func parse(_ text: String) -> [Int]? {
        guard text.hasPrefix("v") else { return nil }
        let rest = text.dropFirst()
        let digits = rest.prefix { $0.isASCII && $0.isNumber }
        guard let major = Int(digits), digits.first != "0" else { return nil }
        let tail = rest.dropFirst(digits.count)
        if tail.isEmpty { return [2, major, 0] }
        for (stability, word) in [(1, "beta"), (0, "alpha")] where tail.hasPrefix(word) {
            guard let minor = Int(tail.dropFirst(word.count)), minor > 0 else { return nil }
            return [stability, major, minor]
        }
        return nil
    }
}
