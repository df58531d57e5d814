/// Upstream: library.JSONPatch and k8s.io/apiserver/pkg/cel/mutation.JSONPatchType.
package enum JSONPatchLibrary {
    /// The type of `JSONPatch{op: …, path: …}`.
    package static let patchType = CELObjectType(
        name: "JSONPatch", fields: ["op": .plain(.string), "path": .plain(.string), "from": .plain(.string), "value": .any])

    static let overloads: [CELOverload?] = [
        CELOverload("jsonpatch_escapeKey_string", "jsonpatch.escapeKey(string) string") { arguments in
            var out = ""
            for c in arguments[0].string ?? "" {
                switch c {
                case "~": out += "~0"
                case "/": out += "~1"
                default: out.append(c)
                }
            }
            return .string(out)
        }
    ]
}
