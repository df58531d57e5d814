import KubeAPI

/// A quantity as a value.
struct CELQuantity: CELOpaque {
    let quantity: Quantity
    var celType: CELType { .opaque("kubernetes.Quantity") }
    func isEqual(_ other: any CELOpaque) -> Bool { (other as? CELQuantity)?.quantity == quantity }
}

/// Upstream: library.Quantity.
enum QuantityLibrary {
    private static func quantity(_ value: CELValue) throws(CELError) -> Quantity {
        switch value {
        case .opaque(let opaque): if let own = opaque as? CELQuantity { return own.quantity }
        case .int(let number): return Quantity(number)
        default: break
        }
        throw .noSuchOverload
    }

    private static let unit: Int128 = 1_000_000_000
    private static func whole(_ quantity: Quantity) -> Int64? { quantity.nano % unit == 0 ? Int64(exactly: quantity.nano / unit) : nil }

    private static func binary(_ id: String, _ signature: String, _ body: @escaping @Sendable (Quantity, Quantity) -> CELValue) -> CELOverload? {
        CELOverload(id, signature) { arguments throws(CELError) in body(try quantity(arguments[0]), try quantity(arguments[1])) }
    }

    static let overloads: [CELOverload?] = [
        CELOverload("string_to_quantity", "quantity(string) kubernetes.Quantity") { arguments throws(CELError) in
            do throws(QuantityError) { return .opaque(CELQuantity(quantity: try Quantity(arguments[0].string ?? ""))) } catch {
                throw CELError(error.description)
            }
        },
        CELOverload("is_quantity_string", "isQuantity(string) bool") { arguments in
            do throws(QuantityError) {
                _ = try Quantity(arguments[0].string ?? "")
                return .bool(true)
            } catch { return .bool(false) }
        },
        CELOverload("quantity_sign", "<kubernetes.Quantity>.sign() int") { arguments throws(CELError) in .int(Int64(try quantity(arguments[0]).sign))
        },
        CELOverload("quantity_is_integer", "<kubernetes.Quantity>.isInteger() bool") { arguments throws(CELError) in
            .bool(whole(try quantity(arguments[0])) != nil)
        },
        CELOverload("quantity_get_int", "<kubernetes.Quantity>.asInteger() int") { arguments throws(CELError) in
            guard let number = whole(try quantity(arguments[0])) else { throw CELError("cannot convert value to integer") }
            return .int(number)
        },
        CELOverload("quantity_get_float", "<kubernetes.Quantity>.asApproximateFloat() double") { arguments throws(CELError) in
            .double(try quantity(arguments[0]).double)
        },
        binary("quantity_add", "<kubernetes.Quantity>.add(kubernetes.Quantity) kubernetes.Quantity") { .opaque(CELQuantity(quantity: $0 + $1)) },
        binary("quantity_add_int", "<kubernetes.Quantity>.add(int) kubernetes.Quantity") { .opaque(CELQuantity(quantity: $0 + $1)) },
        binary("quantity_sub", "<kubernetes.Quantity>.sub(kubernetes.Quantity) kubernetes.Quantity") { .opaque(CELQuantity(quantity: $0 - $1)) },
        binary("quantity_sub_int", "<kubernetes.Quantity>.sub(int) kubernetes.Quantity") { .opaque(CELQuantity(quantity: $0 - $1)) },
        binary("quantity_is_less_than", "<kubernetes.Quantity>.isLessThan(kubernetes.Quantity) bool") { .bool($0 < $1) },
        binary("quantity_is_greater_than", "<kubernetes.Quantity>.isGreaterThan(kubernetes.Quantity) bool") { .bool($0 > $1) },
        binary("quantity_compare_to", "<kubernetes.Quantity>.compareTo(kubernetes.Quantity) int") { .int($0 < $1 ? -1 : $0 == $1 ? 0 : 1) },
    ]
}
