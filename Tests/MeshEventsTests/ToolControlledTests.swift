import MeshEvents
import Testing

@Suite struct ToolControlledTests {
    @Test(arguments: [
        (
            ToolControlled(tool: "whisper", action: "restart", by: "anna@desk"),
            #"{"action":"restart","by":"anna@desk","result":"done","tool":"whisper"}"#
        ),
        (
            ToolControlled(
                tool: "whisper",
                action: "signal",
                by: "",
                result: "notRunning",
                error: "tool whisper: does not run",
                signal: "SIGUSR1",
                omitted: 12,
                request: "7d3e"
            ),
            #"{"action":"signal","by":"","error":"tool whisper: does not run","omitted":12,"request":"7d3e","#
                + #""result":"notRunning","signal":"SIGUSR1","tool":"whisper"}"#
        ),
    ]) func itsDataIsByteForByteThis(payload: ToolControlled, json: String) throws {
        #expect(try payload.eventData().json == json)
        #expect(try ToolControlled(eventData: EventData(json: json)) == payload)
        #expect(payload.isDone == (payload.error == nil))
    }

    @Test func whatIsMissingReadsAsEmptyAndWhatIsUnknownIsIgnored() throws {
        let payload = try ToolControlled(eventData: ["later": 1, "error": nil])
        #expect(payload == ToolControlled(tool: "", action: "", result: ""))
        #expect(try ToolControlled(eventData: .null) == payload)
    }

    @Test(arguments: ["tool", "action", "by", "result", "error", "signal", "omitted", "request"])
    func aMemberOfTheWrongKindIsAnError(name: String) {
        let data = EventData(JSONObject([(name, .array([1]))]))
        let error = #expect(throws: MeshEventsError.self) { try ToolControlled(eventData: data) }
        #expect(error?.code == .invalidData && error?.message.contains("'\(name)'") == true)
    }
}
