import Foundation
import MeshEvents
import TestSupport
import Testing

/// PyPI's client of the Model Context Protocol, driven by a script, which starts the real program.
final class AgentClient {
    private let script: Python.Script
    private let directory: TemporaryDirectory

    /// Starts the client and the program.
    ///
    /// - Parameters:
    ///   - body: `async def body(session, start)` in Python: what it does once it is connected; ``prelude`` has what it can use.
    ///   - arguments: those of the program behind `mcp`.
    ///   - environment: that of the program.
    ///   - marker: a word in texts of others, which is nowhere but in the place of data.
    ///   - variables: what the script finds in its own environment.
    init(
        _ body: String,
        _ arguments: [String] = [],
        environment: [String: String],
        marker: String = "",
        variables: [String: String] = [:]
    ) throws {
        directory = try TemporaryDirectory()
        let program = ["HOME": directory.path, "TZ": "UTC"].merging(environment) { $1 }
        // A shell leaves the process id, and becomes the program.
        let command =
            ["-c", #"echo $$ > "$0"; exec "$@""#, directory.path + "/pid"]
            + [try BuildProducts.executable("mesh-events"), "mcp"] + arguments
        let given = [
            "PROGRAM": "/bin/sh",
            "ARGUMENTS": JSONValue(command.map { JSONValue($0) }).description,
            "ENVIRONMENT": JSONValue(program.mapValues { JSONValue($0) }).description,
            "SAID": directory.path + "/said", "MARKER": marker,
        ]
        script = try Python.start(
            Self.prelude + body + "\n\nrun(body)\n",
            environment: given.merging(variables) { $1 }
        )
    }

    /// What the script has said so far, one object a line.
    private var lines: [Substring] { script.output.split(separator: "\n") }

    /// Waits until the script has said so many things.
    func waitForLines(_ count: Int, within limit: Duration = .seconds(120)) async throws {
        try await waitUntil("the client to say \(count) things", within: limit) {
            lines.count >= count || lines.last == "= {}"
        }
    }

    /// Waits for the end of the client, and with it of the program.
    ///
    /// - Returns: What it has said.
    /// - Throws: `TestSupportError` with its words when it has failed.
    func wait(within limit: Duration = .seconds(150)) async throws -> [EventData] {
        try await waitUntil("the client to end", within: limit) { self.lines.contains("= {}") }
        let output = try await script.wait()
        let lines = output.split(separator: "\n")
        // Nothing else: the client complains about a line of standard output that is no message.
        for line in lines where !line.hasPrefix("= ") { Issue.record("the client said: \(line)") }
        return try lines.dropLast().filter { $0.hasPrefix("= ") }.map { try EventData(json: String($0.dropFirst(2))) }
    }

    /// The process id of the program, once it is started.
    var pid: Int32? { (try? directory.text(of: "pid")).flatMap { Int32($0.dropLast()) } }

    /// What the program has said on standard error.
    var error: String { (try? directory.text(of: "said")) ?? "" }

    private func waitUntil(_ what: String, within limit: Duration, _ condition: () -> Bool) async throws {
        do {
            try await eventually(within: limit, what) { condition() }
        } catch {
            throw TestSupportError("\(error) It said: \(script.output) The program said: \(self.error)")
        }
    }

    /// What scripts can use.
    private static let prelude = #"""
        import asyncio, json, os, re, sys, unicodedata
        from mcp import ClientSession, StdioServerParameters
        from mcp.client.stdio import stdio_client
        from mcp.shared.exceptions import MCPError

        MARKER = os.environ.get("MARKER", "")
        LARGEST = 200 * 1024


        def say(value):
            print("= " + json.dumps(value), flush=True)


        def plain(model):
            return model.model_dump(by_alias=True, exclude_none=True, mode="json")


        def unseen(text):
            """The characters of a text that a person would not see."""
            bad = [c for c in text if unicodedata.category(c) in ("Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp")]
            return sorted({hex(ord(c)) for c in bad})


        def texts(value):
            """All strings of a value, names of members included."""
            if isinstance(value, str):
                yield value
            elif isinstance(value, dict):
                for name, member in value.items():
                    yield name
                    yield from texts(member)
            elif isinstance(value, list):
                for element in value:
                    yield from texts(element)


        def checked(result):
            """Checks that what others wrote is in one place of an answer, bounded, and seen; returns its data."""
            size = len(json.dumps(result).encode())
            assert size < LARGEST, f"{size} bytes"
            content = result["structuredContent"]
            assert set(content) == {"summary", "notice", "untrusted_data"}, content.keys()
            for own in (content["summary"], content["notice"]):
                assert not MARKER or MARKER not in own, own
            for text in texts(content["untrusted_data"]):
                assert not unseen(text), (unseen(text), text[:200])
                assert len(text.encode()) <= 2048, len(text)
            [block] = result["content"]
            lines = block["text"].split("\n")
            [first] = [n for n, line in enumerate(lines) if re.fullmatch(r"----- BEGIN untrusted_data [0-9a-f]+ -----", line)]
            assert lines[first + 2] == lines[first].replace("BEGIN", "END"), lines[first + 2][:200]
            assert len(lines) == first + 3, len(lines)
            assert json.loads(lines[first + 1]) == content["untrusted_data"]
            assert not any(c in lines[first + 1] for c in "<>&`"), "a tag or a fence"
            for number, line in enumerate(lines):
                assert not unseen(line), (unseen(line), line[:200])
                assert not MARKER or number == first + 1 or MARKER not in line, line
            return content["untrusted_data"]


        async def call(session, tool, arguments={}, **more):
            """Calls a tool; its checked answer."""
            result = plain(await session.call_tool(tool, arguments, **more))
            data = checked(result)
            return {"error": result.get("isError", False), "summary": result["structuredContent"]["summary"], "data": data}


        def run(body):
            async def main():
                parameters = StdioServerParameters(
                    command=os.environ["PROGRAM"],
                    args=json.loads(os.environ["ARGUMENTS"]),
                    env=json.loads(os.environ["ENVIRONMENT"]),
                )
                with open(os.environ["SAID"], "w") as said:
                    async with stdio_client(parameters, errlog=said) as (read, write):
                        async with ClientSession(read, write) as session:
                            start = plain(await session.initialize())
                            await body(session, start)

            try:
                asyncio.run(main())
            finally:
                print("= {}", flush=True)


        """#
}
