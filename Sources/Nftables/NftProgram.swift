internal import Processes

/// The nft program, given transactions on its standard input: all of one is done or nothing.
package struct NftProgram: Sendable {
    /// The network namespace to work in, by path; nil is the caller's own.
    private let namespace: String?

    package init(namespace: String? = nil) { self.namespace = namespace }

    /// Throws `CommandError` with nft's own words when the kernel or nft refused.
    package func run(_ transaction: String) async throws {
        try await Command.run(prefix + ["nft", "-f", "-"], input: transaction)
    }

    /// Whether nft and the kernel would take a transaction. Throws `CommandError` with why not.
    package func check(_ transaction: String) async throws {
        try await Command.run(prefix + ["nft", "-c", "-f", "-"], input: transaction)
    }

    private var prefix: [String] { namespace.map { ["nsenter", "--net=\($0)"] } ?? [] }
}

/// A `RuleTable` and the kernel's copy of it.
///
///     unknown ──whole table──▶ known ──changes──▶ known
///        ▲                       │
///        └────kernel refused─────┘
package actor NftTable {
    private var table: RuleTable
    private let program: NftProgram
    /// The kernel has what the table says, but for changes not yet taken.
    private var isKnown = false

    package init(_ table: RuleTable, program: NftProgram) {
        self.table = table
        self.program = program
    }

    /// Says what owners have now (nil: nothing any more) and brings the kernel there, in one transaction. Call it from one task. Throws
    /// `CommandError`; what was said stays said, and the next call makes up for it.
    package func apply(_ fragments: [(owner: String, fragment: RuleFragment?)]) async throws {
        for (owner, fragment) in fragments { table.set(owner, fragment) }
        if isKnown {
            guard let changes = table.takeChanges() else { return }
            do { return try await program.run(changes) } catch is CommandError {
                // Somebody else changed the table, or flushed it: it is made anew.
                isKnown = false
            }
        }
        try await program.run(table.wholeTable())
        isKnown = true
    }

    /// Who has something in the table.
    package var owners: Set<String> { table.owners }

    /// Takes the table out of the kernel, with all that owners have in it.
    package func remove() async throws {
        isKnown = false
        for owner in table.owners { table.set(owner, nil) }
        try await program.run("add table \(table.name)\ndelete table \(table.name)\n")
    }
}
