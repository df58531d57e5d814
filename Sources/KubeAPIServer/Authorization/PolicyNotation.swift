/// The notation of the bootstrap roles, for tables of rules outside this module.
package enum PolicyNotation {
    /// The rules of each name in `text`; see `BootstrapRoles` for the notation.
    package static func parse(_ text: String) -> [(name: String, rules: [PolicyRule])] { BootstrapRoles.parse(text).map { ($0.name, $0.rules) } }
}
