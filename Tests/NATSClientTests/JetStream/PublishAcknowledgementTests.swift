import NATSClient
import Testing

@Suite("The answer to a publish")
struct PublishAcknowledgementTests {
    private func parse(_ text: String) throws -> PublishAcknowledgement {
        var text = text
        return try text.withUTF8 { bytes in
            Result { try PublishAcknowledgement(answer: UnsafeRawBufferPointer(bytes).bytes) }
        }.get()
    }

    @Test(
        "is read as servers from 2.9 to 2.15 write it, members in any order, unknown ones ignored",
        arguments: [
            (#"{"stream":"MESH_EVENTS", "seq":1}"#, PublishAcknowledgement(stream: "MESH_EVENTS", sequence: 1)),
            (
                #"{"stream":"MESH_EVENTS","seq":101,"duplicate": true}"#,
                PublishAcknowledgement(stream: "MESH_EVENTS", sequence: 101, isDuplicate: true)
            ),
            (
                #"{"stream":"S", "domain":"hub", "seq":18446744073709551615,"duplicate":false}"#,
                PublishAcknowledgement(stream: "S", sequence: .max, domain: "hub")
            ),
            (
                #" { "batch" : {"a":[1,"}",{"b":"\""}]} , "val":"x\"y", "seq" : 7 , "stream" : "S" } "#,
                PublishAcknowledgement(stream: "S", sequence: 7)
            ),
        ]
    )
    func valid(text: String, expected: PublishAcknowledgement) throws {
        #expect(try parse(text) == expected)
    }

    @Test("an error in it is thrown with both codes")
    func error() throws {
        let text =
            #"{"error":{"code":400,"err_code":10060,"description":"expected stream does not match"},"#
            + #""stream":"MESH_EVENTS","seq":0}"#
        let error = try #require(throws: JetStreamError.self) { try parse(text) }
        #expect(error.kind == .api)
        #expect(error.code == 400)
        #expect(error.errorCode == .streamNotExpected)
        #expect(error.message == "expected stream does not match")
        #expect(!error.isRetriable)
    }

    @Test(
        "what is no acknowledgement is an invalid answer, and nothing traps",
        arguments: [
            "", "{", "{}", "+OK", "null", "[1]", #"{"stream":"S"}"#, #"{"seq":1}"#, #"{"stream":"S","seq":0}"#,
            #"{"stream":"S","seq":-1}"#, #"{"stream":"S","seq":"1"}"#, #"{"stream":1,"seq":1}"#,
            #"{"stream":"S","seq":18446744073709551616}"#, #"{"stream":"S","seq":1"#, #"{"stream":"S","seq":1}x"#,
            #"{"stream":"S" "seq":1}"#, #"{"error":7}"#, #"{"stream":"\"#, #"{"a":]}"#, #"{"a":,"b":1}"#,
        ]
    )
    func invalid(text: String) throws {
        let error = try #require(throws: JetStreamError.self) { try parse(text) }
        #expect(error.kind == .invalidAnswer)
    }
}
