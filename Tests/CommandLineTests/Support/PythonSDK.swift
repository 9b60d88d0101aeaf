/// The Python tool SDK of the Go mesh, as far as it speaks to the mesh.
enum PythonSDK {
    /// What the Python tool SDK does, as a tool uses it.
    static let tool = #"""
        import asyncio, json, os, sys
        from datetime import datetime, timezone
        import nats

        class EventBus:
            def __init__(self):
                self.nc = None
                self.handlers = []

            async def connect(self):
                self.nc = await nats.connect(os.environ["JB_NATS_URL"])
                async def received(message):
                    event = json.loads(message.data.decode())
                    for handler in self.handlers:
                        await handler(event)
                await self.nc.subscribe("events.>", cb=received)

            def subscribe(self, handler):
                self.handlers.append(handler)

        async def emit_event(topic, data=None):
            nc = await nats.connect(os.environ["JB_NATS_URL"])
            event = {
                "type": f"user.{topic}",
                "node": os.environ.get("JB_NODE_NAME", ""),
                "timestamp": datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
                "data": data or {},
            }
            await nc.publish(f"events.user.{topic}", json.dumps(event).encode())
            await nc.flush()
            await nc.close()

        async def main():
            config = json.loads(os.environ["JB_TOOL_CONFIG"])
            bus = EventBus()
            done = asyncio.get_running_loop().create_future()
            async def received(event):
                print(event["type"], event["node"], json.dumps(event["data"], sort_keys=True))
                if event["type"] == "user.answer" and not done.done():
                    done.set_result(None)
            bus.subscribe(received)
            await bus.connect()
            await bus.nc.flush()
            await emit_event("transcript", {"file": "ä.wav", "model": config["model"]})
            await emit_event("empty")
            print("emitted")
            await asyncio.wait_for(done, 30)
            await bus.nc.close()

        asyncio.run(main())
        """#
}
