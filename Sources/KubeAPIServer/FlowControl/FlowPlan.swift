import KubeAPI

/// All flow schemas and priority levels as of one moment. Made anew with every change of one; requests are matched with it outside of any lock.
final class FlowPlan: Sendable {
    /// A schema with the level its requests go to.
    struct Entry: Sendable {
        var schema: FlowSchema
        var level: PriorityLevel
        /// The level's place among the limited ones; nil: exempt.
        var limitedIndex: Int?
        var statistics: FlowStatistics
    }

    let generation: UInt64
    /// In the order in which they are asked; the last matches everything.
    let entries: [Entry]
    let limited: [PriorityLevel]
    /// Exempt levels too.
    let levels: [PriorityLevel]
    /// Schemas whose level does not exist: they match nothing.
    let dangling: Set<String>

    /// Upstream: the two schemas no server can do without, bootstrap.MandatoryFlowSchemas.
    private static let everything = FlowSchema.ResourceRule(verbs: ["*"], apiGroups: ["*"], resources: ["*"], namespaces: ["*"], clusterScope: true)
    private static func mandatory(_ name: String, _ precedence: Int64, by distinguisher: FlowSchema.Distinguisher?, _ groups: [String]) -> FlowSchema
    {
        FlowSchema(
            name: name, precedence: precedence, priorityLevel: name, distinguisher: distinguisher,
            rules: [
                FlowSchema.Rule(
                    subjects: groups.map { .group($0) }, resources: [everything], paths: [FlowSchema.PathRule(verbs: ["*"], paths: ["*"])])
            ])
    }
    private static let exempt = mandatory("exempt", 1, by: nil, [PrivilegedGroupsAuthorizer.masters])
    private static let catchAll = mandatory("catch-all", 10_000, by: .byUser, ["*"])

    init(generation: UInt64, schemas: [FlowSchema], levels given: [PriorityLevel], statistics: (_ level: String, _ schema: String) -> FlowStatistics)
    {
        self.generation = generation
        var levels = given
        for mandatory in [PriorityLevel.exempt, .catchAll] where !levels.contains(where: { $0.name == mandatory.name }) { levels.append(mandatory) }
        levels.sort { $0.name < $1.name }
        self.levels = levels
        let limited = levels.filter { $0.limited != nil }
        self.limited = limited
        var all = schemas
        for mandatory in [Self.exempt, Self.catchAll] where !all.contains(where: { $0.name == mandatory.name }) { all.append(mandatory) }
        all.sort { ($0.precedence, $0.name) < ($1.precedence, $1.name) }
        // Whatever a broken catch-all may say: in the end everything matches.
        all.append(Self.catchAll)
        var dangling: Set<String> = []
        entries = all.compactMap { schema in
            guard let level = levels.first(where: { $0.name == schema.priorityLevel }) else {
                dangling.insert(schema.name)
                return nil
            }
            return Entry(
                schema: schema, level: level, limitedIndex: limited.firstIndex { $0.name == level.name },
                statistics: statistics(level.name, schema.name))
        }
        self.dangling = dangling
    }

    /// The schema a request belongs to.
    func classify(_ user: UserInfo, _ info: RequestInfo) -> Entry {
        for entry in entries where entry.schema.matches(user, info) { return entry }
        return entries[entries.count - 1]
    }
}

extension FlowSchema {
    init(name: String, precedence: Int64, priorityLevel: String, distinguisher: Distinguisher?, rules: [Rule]) {
        self.name = name
        uid = ""
        self.precedence = precedence
        self.priorityLevel = priorityLevel
        self.distinguisher = distinguisher
        self.rules = rules
    }
}
