import KubeAPI
import Testing

@Suite struct QuantityTests {
    @Test(
        "a quantity is written in its canonical form",
        arguments: [
            ("0", "0"), ("0Gi", "0"), ("1", "1"), ("1000", "1k"), ("1000m", "1"), ("1500m", "1500m"), ("0.5", "500m"), ("1.5", "1500m"),
            ("100m", "100m"),
            ("1024", "1024"), ("1024Ki", "1Mi"), ("1024Mi", "1Gi"), ("1.5Gi", "1536Mi"), ("0.5Ki", "512"), ("1Ki", "1Ki"), ("1536", "1536"),
            ("1k", "1k"),
            ("1000k", "1M"), ("1e3", "1e3"), ("12E6", "12e6"), ("1E", "1E"), ("1Ei", "1Ei"), ("1e-3", "1e-3"), ("-1500m", "-1500m"), ("+2", "2"),
            ("1n", "1n"),
            ("1u", "1u"), ("0.1n", "1n"), ("1.0000000001", "1000000001n"), ("99999999999999999999", "9223372036854775807"), (".5", "500m"),
            ("5.", "5"),
            ("1e100", "9223372036854775807e0"), ("1e-100", "1e-9"), ("3.001Ki", "3073024m"), ("0001", "1"),
        ])
    func canonical(_ text: String, _ expected: String) throws {
        let wanted = expected.hasSuffix("e0") ? String(expected.dropLast(2)) : expected
        #expect(try Quantity(text).description == wanted)
    }

    @Test("texts that are no quantities are refused", arguments: ["", "a", "1x", "Ki", "1KiKi", "1 ", " 1", "1.2.3", "1e", "--1", "1ee3", "."])
    func refused(_ text: String) { #expect(throws: QuantityError.self) { try Quantity(text) } }

    @Test("equal numbers are equal, whatever their unit")
    func equality() throws {
        #expect(try Quantity("1") == Quantity("1000m"))
        #expect(try Quantity("1Gi") == Quantity("1073741824"))
        #expect(try Quantity("1Gi") > Quantity("1G"))
        #expect(Set([try Quantity("1"), try Quantity("1000m"), try Quantity("1e0")]).count == 1)
    }

    @Test("sums and differences are exact")
    func arithmetic() throws {
        #expect(try (Quantity("100m") + Quantity("0.9")).description == "1")
        #expect(try (Quantity("1Gi") - Quantity("512Mi")).description == "512Mi")
        #expect(try (Quantity.zero + Quantity("1Gi")).description == "1Gi")
        #expect(try (Quantity("1Gi") * 3).description == "3Gi")
        #expect(try (Quantity("8E") + Quantity("8E")).value == Int64.max)
    }

    @Test("whole and milli units round up")
    func rounding() throws {
        #expect(try Quantity("1500m").value == 2)
        #expect(try Quantity("1.0001").milliValue == 1001)
        #expect(try Quantity("-1500m").value == -2)
        #expect(try Quantity("250m").milliValue == 250)
        #expect(try Quantity("1Gi").value == 1_073_741_824)
    }

    @Test("every canonical form reads back as the same number")
    func roundTrip() throws {
        var random = SystemRandomNumberGenerator()
        for _ in 0..<2000 {
            let number = Int64.random(in: -1_000_000_000...1_000_000_000, using: &random)
            let suffix = ["", "m", "k", "M", "Ki", "Mi", "Gi", "u", "n", "e2", "e-2"].randomElement(using: &random) ?? ""
            let quantity = try Quantity("\(number)\(suffix)")
            #expect(try Quantity(quantity.description) == quantity)
        }
    }

    @Test("a percentage is a share of the total, rounded as asked")
    func intOrString() {
        #expect(IntOrString.string("25%").scaled(total: 10, roundUp: true) == 3)
        #expect(IntOrString.string("25%").scaled(total: 10, roundUp: false) == 2)
        #expect(IntOrString.int(4).scaled(total: 10, roundUp: true) == 4)
        #expect(IntOrString.string("http").scaled(total: 10, roundUp: true) == nil)
        #expect(IntOrString.string("9%").scaled(total: .max, roundUp: true) == nil)
    }
}
