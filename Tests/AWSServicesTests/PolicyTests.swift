import AWSProtocol
import Testing

@testable import AWSServices

private func decision(_ statement: String, _ context: PolicyContext = [:], resource: String = "*") throws -> PolicyEvaluation.Decision {
    let document = try PolicyDocument(#"{"Version":"2012-10-17","Statement":\#(statement)}"#)
    return PolicyEvaluation(action: "eks:DescribeCluster", resource: resource, context: context).decide([document])
}

private func holds(_ condition: String, _ context: PolicyContext) throws -> Bool {
    try decision(#"{"Effect":"Allow","Action":"*","Resource":"*","Condition":\#(condition)}"#, context) == .allowed
}

@Suite struct PolicyTests {
    @Test(
        "condition operators compare as IAM does",
        arguments: [
            (#"{"StringEquals":{"k":["a","b"]}}"#, "b", true), (#"{"StringEquals":{"k":"B"}}"#, "b", false),
            (#"{"StringEqualsIgnoreCase":{"k":"B"}}"#, "b", true), (#"{"StringNotEquals":{"k":["a","b"]}}"#, "c", true),
            (#"{"StringNotEquals":{"k":["a","b"]}}"#, "a", false),
            (#"{"StringLike":{"k":"system:serviceaccount:*:s?"}}"#, "system:serviceaccount:n:s1", true),
            (#"{"StringLike":{"k":"a*"}}"#, "ba", false), (#"{"StringNotLike":{"k":"a*"}}"#, "ba", true),
            (#"{"NumericLessThan":{"k":"10"}}"#, "9", true), (#"{"NumericLessThan":{"k":10}}"#, "10", false),
            (#"{"NumericGreaterThanEquals":{"k":"10"}}"#, "10", true), (#"{"NumericEquals":{"k":"x"}}"#, "1", false),
            (#"{"DateGreaterThan":{"k":"2026-01-01T00:00:00Z"}}"#, "2026-01-01T00:00:01Z", true),
            (#"{"DateLessThan":{"k":"2026-01-01"}}"#, "2026-01-01T00:00:01Z", false), (#"{"Bool":{"k":"true"}}"#, "true", true),
            (#"{"Bool":{"k":false}}"#, "true", false), (#"{"IpAddress":{"k":"10.0.0.0/8"}}"#, "10.1.2.3", true),
            (#"{"NotIpAddress":{"k":["10.0.0.0/8","192.0.2.1"]}}"#, "192.0.2.1", false), (#"{"IpAddress":{"k":"192.0.2.1"}}"#, "192.0.2.1", true),
            (#"{"ArnLike":{"k":"arn:aws:eks:*:1:cluster/*"}}"#, "arn:aws:eks:x:1:cluster/a/b", true),
            (#"{"ArnLike":{"k":"arn:aws:eks:*:cluster/*"}}"#, "arn:aws:eks:x:1:cluster/a", false),
            (#"{"ArnNotEquals":{"k":"arn:aws:eks:x:1:cluster/a"}}"#, "arn:aws:eks:x:1:cluster/b", true),
            (#"{"Null":{"k":"true"}}"#, "v", false), (#"{"Null":{"k":"false"}}"#, "v", true),
        ] as [(String, String, Bool)])
    func operators(_ condition: String, _ value: String, _ expected: Bool) throws { #expect(try holds(condition, ["k": [value]]) == expected) }

    @Test("a key that is missing fails what asks for it, but not what excludes it or only asks if it is there")
    func missingKeys() throws {
        #expect(try !holds(#"{"StringEquals":{"k":"a"}}"#, [:]))
        #expect(try holds(#"{"StringNotEquals":{"k":"a"}}"#, [:]))
        #expect(try holds(#"{"StringEqualsIfExists":{"k":"a"}}"#, [:]))
        #expect(try !holds(#"{"StringEqualsIfExists":{"k":"a"}}"#, ["k": ["b"]]))
        #expect(try holds(#"{"Null":{"k":"true"}}"#, [:]))
        #expect(try holds(#"{"ForAllValues:StringEquals":{"k":"a"}}"#, [:]))
        #expect(try !holds(#"{"ForAnyValue:StringEquals":{"k":"a"}}"#, [:]))
    }

    @Test("sets are compared value by value")
    func sets() throws {
        let keys = ["k": ["a", "b"]]
        #expect(try holds(#"{"ForAllValues:StringEquals":{"k":["a","b","c"]}}"#, keys))
        #expect(try !holds(#"{"ForAllValues:StringEquals":{"k":["a"]}}"#, keys))
        #expect(try holds(#"{"ForAnyValue:StringLike":{"k":"b*"}}"#, keys))
        #expect(try !holds(#"{"ForAnyValue:StringEquals":{"k":"c"}}"#, keys))
        #expect(try holds(#"{"ForAnyValue:StringNotEquals":{"k":"a"}}"#, keys))
        #expect(try !holds(#"{"ForAllValues:StringNotEquals":{"k":"a"}}"#, keys))
    }

    @Test("variables stand for their values, whose stars are no wildcards")
    func variables() throws {
        let statement = #"{"Effect":"Allow","Action":"*","Resource":"arn:aws:s3:::${aws:PrincipalTag/team}/*"}"#
        #expect(try decision(statement, ["aws:principaltag/team": ["a"]], resource: "arn:aws:s3:::a/x") == .allowed)
        #expect(try decision(statement, ["aws:principaltag/team": ["*"]], resource: "arn:aws:s3:::a/x") == .denied(isExplicit: false))
        #expect(try decision(statement, [:], resource: "arn:aws:s3:::a/x") == .denied(isExplicit: false))
        #expect(try holds(#"{"StringEquals":{"k":"${u, 'nobody'}"}}"#, ["k": ["nobody"]]))
        #expect(try holds(#"{"StringLike":{"k":"a${*}b"}}"#, ["k": ["a*b"]]))
        #expect(try !holds(#"{"StringLike":{"k":"a${*}b"}}"#, ["k": ["axb"]]))
    }

    @Test("what a document leaves out is covered by NotAction and NotResource")
    func inversions() throws {
        #expect(try decision(#"{"Effect":"Allow","NotAction":"iam:*","Resource":"*"}"#) == .allowed)
        #expect(try decision(#"{"Effect":"Allow","NotAction":"EKS:*","Resource":"*"}"#) == .denied(isExplicit: false))
        #expect(
            try decision(#"{"Effect":"Allow","Action":"*","NotResource":"arn:aws:eks:*"}"#, resource: "arn:aws:eks:x") == .denied(isExplicit: false))
        #expect(
            try decision(#"[{"Effect":"Allow","Action":"*","Resource":"*"},{"Effect":"Deny","Action":"eks:Desc*","Resource":"*"}]"#)
                == .denied(isExplicit: true))
    }

    @Test(
        "operators and members that do not exist are refused",
        arguments: [
            #"{"Effect":"Allow","Action":"*","Resource":"*","Condition":{"StringIs":{"k":"a"}}}"#,
            #"{"Effect":"Allow","Action":"*","Resource":"*","Condition":[]}"#, #"{"Effect":"Allow","Action":"*","Resource":"*","Colour":"red"}"#,
            #"{"Effect":"Allow","Action":"*","NotAction":"*","Resource":"*"}"#, #"{"Effect":"Allow","Action":"*","Resource":"cluster"}"#,
            #"{"Effect":"Allow","Action":"*","Principal":{"Everyone":"*"}}"#,
        ])
    func refusals(_ statement: String) { #expect(throws: AWSError.self) { try decision(statement) } }
}
