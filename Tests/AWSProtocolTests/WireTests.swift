import Testing

@testable import AWSProtocol

@Suite struct WireTests {
    @Test("JSON is read as it was written, escapes and surrogates included")
    func json() throws {
        let text = #"{"a":[1,-2.5,1e3,true,null,"\u00e9\ud83d\ude00\n\"\\/"],"b":{}}"#
        let value = try AWSJSON(parsing: Array(text.utf8))
        #expect(value["a"]?.arrayValue?.last?.stringValue == "é😀\n\"\\/")
        #expect(value["a"]?.arrayValue?[2].intValue == 1_000)
        #expect(try AWSJSON(parsing: value.encoded) == value)
        #expect(
            String(decoding: AWSJSON.object(["t": .double(1_795_399_200.5), "a": "\u{1}"]).encoded, as: UTF8.self)
                == #"{"a":"\u0001","t":1795399200.5}"#)
    }

    @Test(
        "JSON that is none is refused",
        arguments: [
            "", "{", "[1,]", "{\"a\"}", "01", "1.", "\"\\x\"", "\"\u{1}\"", "nul", "{} {}", "\"\\ud800\"", "[1 2]", "-", "1e",
        ])
    func badJSON(_ text: String) {
        #expect(throws: AWSJSONError.self) { try AWSJSON(parsing: Array(text.utf8)) }
    }

    @Test("JSON that is deeper than any request is refused, not overflowed")
    func deepJSON() {
        #expect(throws: AWSJSONError.self) { try AWSJSON(parsing: Array(repeating: 0x5B, count: 1_000_000)) }
    }

    @Test("lists of query parameters are read in the order of their numbers, in both forms")
    func query() throws {
        let form = "Filter.2.Name=b&Filter.1.Name=a&Filter.1.Value.10=y&Filter.1.Value.2=x&Tags.member.1.Key=k&Tags.member.1.Value=v+w%2B"
        let parameters = try QueryParameters(PercentEncoding.decodePairs(form) ?? [])
        #expect(parameters.list("Filter").map { $0["Name"] } == ["a", "b"])
        #expect(parameters.list("Filter").first?.strings("Value") == ["x", "y"])
        #expect(parameters.list("Tags").first?["Value"] == "v w+")
        #expect(throws: AWSError.self) { try QueryParameters([("a", "1"), ("a", "2")]) }
        #expect(throws: AWSError.self) { try QueryParameters([(String(repeating: "a.", count: 100), "1")]) }
    }

    @Test("XML text is escaped")
    func xml() {
        var xml = XMLWriter()
        xml.element("a", namespace: "urn:x") { $0.leaf("b", "<&>\u{0}é") }
        #expect(String(decoding: xml.bytes, as: UTF8.self) == "<a xmlns=\"urn:x\"><b>&lt;&amp;&gt;\u{FFFD}é</b></a>")
    }

    @Test("a pagination token leads on, and one that was altered or is another operation's does not")
    func pages() {
        let tokens = PaginationTokens(key: Array("secret".utf8))
        let first = tokens.page(of: ["c", "a", "b"], operation: "List", token: nil, size: 2)
        #expect(first?.page == ["a", "b"])
        #expect(tokens.page(of: ["c", "a", "b"], operation: "List", token: first?.next, size: 2)?.page == ["c"])
        #expect(tokens.page(of: ["a"], operation: "Other", token: first?.next, size: 2) == nil)
        #expect(tokens.page(of: ["a"], operation: "List", token: "x" + (first?.next ?? "").dropFirst(), size: 2) == nil)
        #expect(PaginationTokens(key: [1]).page(of: ["a"], operation: "List", token: first?.next, size: 2) == nil)
    }

    @Test("an idempotency token replays the same request for a day and no other")
    func idempotency() {
        let first = IdempotencyToken(token: "t", parameters: ["name": "a", "clientRequestToken": "t"], createdAt: 0)
        #expect(first.answer(to: IdempotencyToken(token: "t", parameters: ["name": "a"], createdAt: 86_399)) == .replay)
        #expect(first.answer(to: IdempotencyToken(token: "t", parameters: ["name": "b"], createdAt: 1)) == .conflict)
        #expect(first.answer(to: IdempotencyToken(token: "u", parameters: ["name": "a"], createdAt: 1)) == .new)
        #expect(first.answer(to: IdempotencyToken(token: "t", parameters: ["name": "a"], createdAt: 86_400)) == .new)
    }

    @Test("timestamps are written and read, and impossible ones refused")
    func timestamps() {
        #expect(AWSTimestamp.parseBasic("20261123T020000Z") == 1_795_399_200)
        #expect(AWSTimestamp.basic(1_795_399_200) == "20261123T020000Z")
        #expect(AWSTimestamp.extendedMilliseconds(1_582_934_400.25) == "2020-02-29T00:00:00.250Z")
        for text in ["20260231T000000Z", "20261323T000000Z", "20261123T240000Z", "20261123T020000", "2026112 T020000Z", "", "20260100T000000Z"] {
            #expect(AWSTimestamp.parseBasic(text) == nil)
        }
    }

    @Test("base 64 without padding is exact: other alphabets, padding and stray bits are refused")
    func base64() {
        for count in 0..<40 {
            let bytes = (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 37) }
            #expect(Base64URL.decode(Base64URL.encode(bytes)) == bytes)
        }
        for text in ["a", "YQ==", "Y+", "YR", "Y Q", "YWJjZ"] { #expect(Base64URL.decode(text) == nil) }
        #expect(Base64URL.encodeStandard(Array("ab".utf8)) == "YWI=")
    }

    @Test("ARNs are taken apart, and what is none is refused")
    func arns() {
        let arn = ARN("arn:aws:eks:eu-central-1:000000000000:cluster/demo:x")
        #expect(arn?.resource == "cluster/demo:x" && arn?.description == "arn:aws:eks:eu-central-1:000000000000:cluster/demo:x")
        for text in ["", "arn:aws:eks", "arn::eks:::x", "arn:aws:eks:::", "x:aws:eks:::y"] { #expect(ARN(text) == nil) }
        #expect(ARN.partition(ofRegion: "us-gov-west-1") == "aws-us-gov" && ARN.partition(ofRegion: "eu-central-1") == "aws")
    }
}
